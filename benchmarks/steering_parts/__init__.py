"""The parts of benchmarks/steering.py: subjects (models and prompts), the originals' patterns, and one measurement each."""
