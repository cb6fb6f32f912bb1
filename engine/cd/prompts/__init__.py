"""What is asked: prompts and texts out of files, as tokens for either model. Imports nothing."""
