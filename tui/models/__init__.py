"""What the console knows, in plain Python: reductions of the event stream and the rows made of them. No Textual."""
