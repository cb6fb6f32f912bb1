"""Steering by activation addition. Settings in `settings`, the command line in `cli`, one file per step in `steps`; the method
itself in `vectors`, `layers`, `application`, `ab` and `curves`. Imports nothing, so that settings stay light."""
