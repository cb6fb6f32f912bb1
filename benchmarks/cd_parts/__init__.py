"""The parts of benchmarks/cd.py: subjects (two models and prompts), and the ways that are compared."""
