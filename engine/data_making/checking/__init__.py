"""Recognising data files and saying what is wrong with them."""
