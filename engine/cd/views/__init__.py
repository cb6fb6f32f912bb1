"""Texts as they are looked at: coloured, sorted, in tables. Imports nothing."""
