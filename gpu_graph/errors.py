"""What gpu_graph raises for its users. Every message says what is wrong, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence


class GraphError(Exception):
    """The one root of gpu_graph's user-facing errors. `problems` lists every offender; the text holds them all."""

    def __init__(self, problems: str | Sequence[str], *, heading: str = "") -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        lines = self.problems if len(self.problems) == 1 else [f"  - {problem}" for problem in self.problems]
        super().__init__("\n".join([heading, *lines] if heading else lines))


class GraphFailed(GraphError):
    """A run that was waited for ended with failed, timed out, lost or cancelled tasks."""


class ServerError(GraphError):
    """The server cannot be reached or started, refused a request, or speaks another protocol."""
