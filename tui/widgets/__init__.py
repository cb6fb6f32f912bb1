"""Widgets on the line API: each draws lines that a model made and repaints only the cells that changed."""
