"""The steering steps' measurement kinds: their names and typed columns, for those who write and those who read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

AB_KIND = "ab"
"""Letter probabilities of one item at one cell; see `engine.steering.ab`."""
POSITIONS_KIND = "positions"
"""Which positions of a response's row were steered: the record that the position rule did what it says."""


def ab_schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("item_id", pa.string()),
            ("multiplier", pa.float64()),
            ("matching", pa.string()),
            ("p_a", pa.float64()),
            ("p_b", pa.float64()),
            ("p_matching", pa.float64()),
            ("lead_in_weights", pa.list_(pa.float64())),
        ]
    )


def positions_schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema([("response_id", pa.string()), ("prompt_tokens", pa.int32()), ("steered", pa.list_(pa.bool_()))])
