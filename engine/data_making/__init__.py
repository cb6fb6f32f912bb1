"""Making, checking and getting data: an assistant model writes items, what is unfit is dropped and counted, the rest is laid
out as the methods read it. Imports nothing, so that settings stay light."""
