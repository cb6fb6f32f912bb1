"""The commands `tiller judge …`, one file each: a step finds what is there, does the rest and returns one summary line."""
