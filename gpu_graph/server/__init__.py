"""The per-user server: one process per user and host that owns every run, shared by all workspaces."""
