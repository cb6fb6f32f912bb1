"""Concept editing (§4): what happens to a state before the vector is added. See `settings`, `editors`, `making`."""
