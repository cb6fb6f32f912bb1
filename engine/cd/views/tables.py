"""What is said of texts of two models in a terminal: chosen and sorted texts, tables of cells, prompts and vocabulary.

Owns the choice of what is shown and the tables' wording. It knows neither where texts come from nor how colours look. No torch.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.cd.decoding.numbers import MEASURES, WEIGHTED
from engine.cd.settings import MemberName, Region
from engine.cd.texts.records import LOGPROBS, CellMeans, MeasuredText
from engine.cd.views.coloring import Look, colored
from engine.cd.views.ordering import Order, by_prompt, ordered, prompt_means
from engine.cd.views.vocabulary import LEAST, Entry
from engine.errors import InputError
from engine.plots.shaded import ColoredTexts
from engine.printable import printable
from engine.statistics import mean_of
from engine.text_table import text_table

_PROMPT_WIDTH = 44
_ENTRIES = 10


@dataclass(frozen=True, slots=True)
class Chosen:
    """Texts to show, sorted, and of how many they are the first."""

    texts: tuple[MeasuredText, ...]
    total: int


def check_measure(texts: Sequence[MeasuredText], measure: str, region: Region) -> None:
    """Refuse what the texts have no numbers of."""
    if measure not in (*MEASURES, WEIGHTED):
        raise InputError(f"--measure {measure}: there is no such measure; give one of {', '.join((*MEASURES, WEIGHTED))}.")
    if measure == WEIGHTED and texts and not any(measure in text.generated.values for text in texts):
        raise InputError(
            "These texts have no weighted measure; write them with --legacy-divergence, or give another --measure."
        )
    if region != "generated" and texts and all(text.prompt_numbers is None for text in texts):
        raise InputError(
            f"--region {region}: the prompts of these texts are not measured; run their command again with --measure-prompt."
        )


def chosen(texts: Sequence[MeasuredText], measure: str, region: Region, order: Order, top: int | None) -> Chosen:
    values = [text.mean(measure, region) for text in texts]
    places = ordered(order, values, [text.prompt_id for text in texts])
    return Chosen(tuple(texts[place] for place in places[:top]), len(texts))


def picture(view: Chosen, look: Look, order: Order) -> ColoredTexts:
    told = {"text": "highest first", "prompt": "prompts, highest mean first", "published": "the published order"}.get(order)
    shown = f"{len(view.texts)} of {view.total} texts" if len(view.texts) < view.total else counted(view.total, "text")
    return colored(view.texts, look, ", ".join([shown, *([told] if told else [])]) + ".")


def cells_table(cells: Sequence[CellMeans], labels: Sequence[str], measure: str) -> str:
    """Cells below each other. Means are over prompts, with bootstrap intervals over prompts, of which one alone has none;
    perplexities are of an average token of an average text."""
    rows = [_cell_row(cell, measure) for cell in cells]
    heads = ("prompts", "texts", f"mean {measure} [95%]", "perplexity S", "perplexity C")
    columns = [(head, [row[place] for row in rows]) for place, head in enumerate(heads)]
    table = text_table(("cell", [cell.cell[:8] for cell in cells]), columns, numbers=True)
    named = (f"{cell.cell[:8]}  {printable(label)}" for cell, label in zip(cells, labels, strict=True))
    return "\n".join([*named, "", table])


def prompts_table(texts: Sequence[MeasuredText], measure: str, region: Region, top: int | None) -> str:
    """Every prompt with the mean over its texts, highest first."""
    ids = [text.prompt_id for text in texts]
    means = prompt_means([text.mean(measure, region) for text in texts], ids)
    counts = Counter(ids)
    said = {text.prompt_id: text.prompt for text in texts}
    names = sorted(means, key=lambda name: (math.isnan(means[name]), -means[name]))[:top]
    shown = [_shortened(said[name] or "(none)") for name in names]
    columns = [
        (f"mean {measure}", ["–" if math.isnan(means[name]) else f"{means[name]:.4f}" for name in names]),
        ("texts", [str(counts[name]) for name in names]),
    ]
    return text_table(("prompt", shown), columns, numbers=True)


def entries_table(head: str, entries: Sequence[Entry], number: str) -> str:
    """The first ten. number: which of sum and mean they are sorted by."""
    if not entries:
        return f"{head}: none " + ("was kept (see decode's --alternatives)." if number == "sum" else f"occurs {LEAST} times.")
    first = entries[:_ENTRIES]
    columns = [
        ("sum", [f"{entry.total:.3f}" for entry in first]),
        ("mean", [f"{entry.mean:.4f}" for entry in first]),
        ("places", [str(entry.count) for entry in first]),
    ]
    names = [printable(repr(entry.text)) for entry in first]
    return f"{head}, by {number}\n\n{text_table(('token', names), columns, numbers=True)}"


def classic_csv(texts: Sequence[MeasuredText], measure: str, region: Region) -> str:
    """All texts in the columns that the published tools read (§3), with their index column. A text is its prompt, the `|` and
    the continuation."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("divergence", "decoding", "starting_model_perplexity", "comparison_model_perplexity", "all_token_divergences")
    writer.writerow(["", *names])
    for place, text in enumerate(texts):
        numbers = [text.mean(measure, region), text.perplexity("starting", region), text.perplexity("comparison", region)]
        tokens = [round(value, 6) for value in text.numbers(measure, region).tolist()]
        said = f"{text.prompt}|{text.text}"
        writer.writerow([place, f"{numbers[0]:.6f}", said, *(f"{number:.6g}" for number in numbers[1:]), tokens])
    return out.getvalue()


def summary(texts: Sequence[MeasuredText], measure: str = "kl", region: Region = "generated") -> str:
    """Means in a few words, over prompts as in `cells_table`."""
    means = prompt_means([text.mean(measure, region) for text in texts], [text.prompt_id for text in texts])
    values = [mean for mean in means.values() if not math.isnan(mean)]
    if not values:
        return f"no {measure}"
    starting, comparison = (_perplexity(texts, member, region) for member in LOGPROBS)
    return f"mean {measure} {sum(values) / len(values):.4f}, perplexity S {starting:.4g}, C {comparison:.4g}"


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _perplexity(texts: Sequence[MeasuredText], member: MemberName, region: Region) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(-np.nanmean([text.mean(LOGPROBS[member], region) for text in texts])))


def _cell_row(cell: CellMeans, measure: str) -> tuple[str, ...]:
    units: Mapping[str, list[float]] = by_prompt(cell.means[measure].tolist(), cell.prompt_ids) if measure in cell.means else {}
    counted = (str(len(set(cell.prompt_ids))), str(len(cell)))
    if not units:
        return (*counted, "–", "–", "–")
    with np.errstate(over="ignore"):
        perplexities = (np.exp(-np.nanmean(cell.means[LOGPROBS[member]])) for member in ("starting", "comparison"))
    return (*counted, _with_interval(units), *(f"{value:.4g}" for value in perplexities))


def _with_interval(units: Mapping[str, list[float]]) -> str:
    """One prompt has no interval, and infinite numbers have none either."""
    numbers = [number for observations in units.values() for number in observations]
    if not all(map(math.isfinite, numbers)):
        return f"{sum(numbers):.4f} [–]"
    mean = mean_of(units)
    return f"{mean.mean:.4f} [" + ("–]" if mean.units == 1 else f"{mean.low:.4f}–{mean.high:.4f}]")


def _shortened(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _PROMPT_WIDTH else shown[: _PROMPT_WIDTH - 1] + "…"
