"""The steps of `tiller data`: one module per command."""
