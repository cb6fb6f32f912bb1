"""One file per step of `tiller cd`; each has `run(settings) -> summary`."""
