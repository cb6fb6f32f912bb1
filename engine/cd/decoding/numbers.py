"""What is read off two models at every token of a text: the words that measures go by, and the record that everyone reads.

Owns names and shapes only. numpy, no torch: figures, the console and the statistics read these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEASURES: Mapping[str, str] = {
    "kl": "forward KL(S||C), nats",
    "reverse_kl": "reverse KL(C||S), nats",
    "jeffreys": "KL(S||C) + KL(C||S), nats",
    "js": "Jensen-Shannon, nats, at most ln 2",
    "tv": "total variation, half of the summed absolute differences, at most 1",
    "renyi": "Rényi of the settings' order from S to C, nats",
    "entropy_difference": "H(S) - H(C), nats",
    "top1_disagreement": "1 where the likeliest tokens differ, else 0",
    "log_ratio": "ln S(x) - ln C(x) of the token x that was written",
    "centred_l1": "mean over the vocabulary of |difference of centred logits|",
    "starting_logprob": "ln S(x)",
    "comparison_logprob": "ln C(x)",
    "starting_entropy": "H(S), nats",
    "comparison_entropy": "H(C), nats",
}
"""Measure → what it is. Every prediction of every text is measured by all of them."""
WEIGHTED = "weighted"
"""The published weighted form (§2.1, mode A), there only when asked for."""


@dataclass(frozen=True)
class TokenNumbers:
    """One text's numbers; element t is about the prediction *of* token t, made from what stands before it.

    values: {measure: [tokens] float32}. starting_top, comparison_top: the likeliest tokens at that place, best first: ids
    [tokens, k] int32 and probabilities [tokens, k] float32. terms: the vocabulary entries x with the largest
    S(x)·(ln S(x) - ln C(x)), likewise: ids and terms, which over the whole vocabulary sum to `kl`.
    """

    values: Mapping[str, NDArray[np.float32]]
    starting_top: tuple[NDArray[np.int32], NDArray[np.float32]]
    comparison_top: tuple[NDArray[np.int32], NDArray[np.float32]]
    terms: tuple[NDArray[np.int32], NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.values["kl"])
