"""The steering steps' measurement kinds: their names and typed columns, for those who write and those who read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

AB_KIND = "ab"
"""Letter probabilities of one item at one cell; see `engine.steering.ab`."""
CHOICE_KINDS = {"ab": AB_KIND, "truthfulqa": "truthfulqa", "mmlu": "mmlu"}
"""The kind that holds the letters of each set of questions; all have `ab_schema`."""
CAPABILITY_KIND = "capability"
"""How probable a passage of ordinary text is at one cell: what steering costs."""
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
            ("category", pa.string()),
        ]
    )


def positions_schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema([("response_id", pa.string()), ("prompt_tokens", pa.int32()), ("steered", pa.list_(pa.bool_()))])


def capability_schema() -> pyarrow.Schema:
    """`nll`: negative log-likelihood of the passage's `tokens` scored tokens, in nats."""
    import pyarrow as pa

    return pa.schema([("passage_id", pa.string()), ("multiplier", pa.float64()), ("nll", pa.float64()), ("tokens", pa.int32())])
