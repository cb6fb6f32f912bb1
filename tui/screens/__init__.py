"""The console's screens: each composes widgets, routes keys to actions and asks models for rows."""
