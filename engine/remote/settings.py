"""The options of everything that asks a server: how hard it may be pressed, how long it is waited for, what it costs.

None of them names artifacts: what a server says does not depend on them. No network.
"""

from __future__ import annotations

from typing import Literal

from engine.remote.types import Usage
from engine.settings import StepSettings, option


class ServerSettings(StepSettings):
    """For servers only; a model in this process needs none of these."""

    structured: Literal["auto", "on", "off"] = option(
        "auto", "hold a server's replies to the wanted form; auto: where the server can", affects_result=False
    )
    concurrency: int = option(64, "requests in flight at a server", affects_result=False, ge=1)
    requests_per_minute: float | None = option(None, "a server's limit (none: no limit)", affects_result=False, gt=0)
    tokens_per_minute: float | None = option(None, "a server's limit (none: no limit)", affects_result=False, gt=0)
    timeout: float = option(60.0, "seconds for one try of a request", affects_result=False, gt=0)
    deadline: float = option(600.0, "seconds for a request with all its tries", affects_result=False, gt=0)
    price_in: float = option(0.0, "price of a million tokens sent, for the summary", affects_result=False, ge=0)
    price_out: float = option(0.0, "price of a million tokens received, for the summary", affects_result=False, ge=0)

    def usage(self) -> Usage:
        """A count that begins."""
        return Usage(price_in=self.price_in, price_out=self.price_out)
