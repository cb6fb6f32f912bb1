"""The version of the installed distribution, once."""

from __future__ import annotations

VERSION = "0.1.0"
