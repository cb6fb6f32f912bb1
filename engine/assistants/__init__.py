"""Models that are asked to write: behind a server, or in this process. Imports nothing, so that settings stay light."""
