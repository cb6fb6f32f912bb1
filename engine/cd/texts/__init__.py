"""Texts with their numbers: written once, kept as records, asked for by prompt. Imports nothing."""
