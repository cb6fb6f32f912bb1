"""Refusals over several options: of how two models are opened, combined and drawn from, before anything loads. No torch."""

from __future__ import annotations

from engine.cd.prompts.files import is_text
from engine.cd.settings import CombinationSettings, DrawSettings, MemberName, PairSettings
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


def check_members(settings: PairSettings) -> None:
    """Refuse options of the two members that contradict each other, or that nothing would read."""
    steers = settings.steered is not None
    if steers != (settings.vectors_file is not None):
        given, missing = ("--steered", "--vectors-file") if steers else ("--vectors-file", "--steered")
        raise InputError(f"{given} is only read together with {missing}; give both or neither.")
    if not steers:
        for name in ("layer", "multiplier", "positions"):
            if getattr(settings, name) != PairSettings.model_fields[name].default:
                raise InputError(f"--{name} says how a model is steered, but none is; give --steered and --vectors-file too.")
    if settings.positions == "from_marker":
        raise InputError(
            "--positions from_marker steers from a text in the prompt on, which is not looked for here; give another."
        )
    if settings.legacy_interpolation and settings.interpolate is None:
        raise InputError("--legacy-interpolation says how --interpolate is meant; give that too, or leave it out.")
    for name in ("starting_prefix", "comparison_prefix"):
        prefix = getattr(settings, name)
        if prefix is not None and not prefix.strip():
            raise InputError(f"--{name.replace('_', '-')} is empty; leave it out, or say what is shown to that model only.")
        if prefix is not None and not is_text(prefix):
            raise InputError(f"--{name.replace('_', '-')} is not UTF-8 text; set the terminal to UTF-8.")
    if settings.comparison_context == "last_token" and settings.comparison_prefix is not None:
        raise InputError(
            "--comparison-context last_token shows C the prompt's last token alone, so --comparison-prefix would be lost; "
            "leave one of them out."
        )


def check_drawing(settings: DrawSettings) -> None:
    """Refuse options of beam search that contradict each other, or that drawing would not read."""
    beams = settings.num_beams
    if beams is None:
        for name in ("beam_groups", "diversity_penalty", "length_penalty"):
            if getattr(settings, name) != DrawSettings.model_fields[name].default:
                raise InputError(
                    f"--{name.replace('_', '-')} is an option of beam search; give --num-beams too, or leave it out."
                )
        return
    if settings.samples > beams:
        raise InputError(
            f"--num-beams {beams} finds {beams} texts for a prompt, but --samples {settings.samples} asks for more; give fewer "
            "samples or more beams."
        )
    if beams % settings.beam_groups:
        raise InputError(
            f"--num-beams {beams} cannot be shared out evenly to --beam-groups {settings.beam_groups}; give a number of groups "
            "that divides it."
        )
    if (settings.beam_groups > 1) != (settings.diversity_penalty > 0):
        raise InputError(
            "--beam-groups and --diversity-penalty belong together: groups differ only through a penalty above 0; give both or "
            "neither."
        )
    for name in ("temperature", "top_k", "top_p"):
        if getattr(settings, name) != DrawSettings.model_fields[name].default:
            raise InputError(
                f"--{name.replace('_', '-')} is an option of drawing, but beam search draws nothing; leave it out."
            )
