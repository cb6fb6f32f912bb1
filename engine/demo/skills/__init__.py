"""What the demo models can do, one file per skill: each draws examples of a chat and its right answer."""
