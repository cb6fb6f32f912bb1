"""The loop of two models: how their distributions are combined, what is measured on the way, beams, texts from elsewhere.
Imports nothing."""
