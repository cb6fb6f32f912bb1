"""Two models compared: contrastive decoding, divergences, search for prompts that divide them, analysis of what does.

Settings in `settings`, the command line in `cli`, one file per step in `steps`. Imports nothing, so that settings stay light.
"""
