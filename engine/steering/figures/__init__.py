"""Figures of steering experiments: what is drawn, from which records. How pictures look is `engine.plots`."""
