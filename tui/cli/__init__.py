"""The `tiller` command: one module per verb, imported only when it is called, so that quick commands stay quick."""

from tui.cli.main import main

__all__ = ["main"]
