"""The commands `tiller steer …`, one file each: a step finds what is there, does the rest and returns one summary line."""
