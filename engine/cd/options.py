"""Refusals over several options of how two models are combined, before anything loads. No torch."""

from __future__ import annotations

from engine.cd.settings import CombinationSettings, MemberName
from engine.errors import InputError


def check_combination(how: CombinationSettings) -> None:
    """Refuse weights that the rule has no meaning for."""
    if how.rule != "prob_difference":
        expert(how)
    elif max(how.starting_weight, how.comparison_weight) <= 0:
        raise InputError(
            f"With --starting-weight {how.starting_weight:g} and --comparison-weight {how.comparison_weight:g} no token has a "
            "positive weight; give at least one of the models a positive one."
        )


def expert(how: CombinationSettings) -> MemberName:
    """The member with the positive weight, which must be the only one: the plausibility mask is the expert's, and `none`
    samples from it. Of two positive weights neither is an expert's or an amateur's; `prob_difference` mixes them."""
    if (how.starting_weight > 0) == (how.comparison_weight > 0):
        raise InputError(
            f"Rule {how.rule} needs one model with a positive weight, not --starting-weight {how.starting_weight:g} and "
            f"--comparison-weight {how.comparison_weight:g}; give the other 0 or less, or use --rule prob_difference."
        )
    return "starting" if how.starting_weight > 0 else "comparison"
