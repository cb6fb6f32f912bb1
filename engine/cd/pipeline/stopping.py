"""When a run has done enough: its rules, and what they look at. No rule looks at a clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.cd.pipeline.hypotheses import Hypothesis
from engine.significance import benjamini_hochberg


@dataclass(frozen=True, slots=True)
class Rules:
    cycles: int
    quiet: int
    stable: int
    alpha: float


def adjusted(hypotheses: Sequence[Hypothesis]) -> dict[str, float]:
    """Hypothesis id → p adjusted over all that were tested (Benjamini and Hochberg 1995)."""
    tested = [(one.id, one.p) for one in hypotheses if one.p is not None]
    return dict(zip([name for name, _ in tested], benjamini_hochberg([p for _, p in tested]), strict=True))


def significant(hypotheses: Sequence[Hypothesis], alpha: float) -> frozenset[str]:
    return frozenset(name for name, p in adjusted(hypotheses).items() if p <= alpha)


def reason_to_stop(hypotheses: Sequence[Hypothesis], done: int, rules: Rules) -> str | None:
    """After `done` cycles: why there is no other; None where there is one."""
    if done >= rules.cycles:
        return f"--cycles {rules.cycles}"
    supported = [one.cycle for one in hypotheses if one.status == "supported"]
    if done - max(supported, default=0) >= rules.quiet:
        return f"nothing new was supported in {rules.quiet} cycles (--quiet-cycles)"
    sets = [
        significant([one for one in hypotheses if one.cycle <= cycle], rules.alpha)
        for cycle in range(max(1, done - rules.stable), done + 1)
    ]
    if len(sets) > rules.stable and sets[-1] and len(set(sets)) == 1:
        return f"the significant hypotheses have not changed in {rules.stable} cycles (--stable-cycles)"
    return None
