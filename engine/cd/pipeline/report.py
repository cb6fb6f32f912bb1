"""What a run found, as one record: the report's only content. Markdown, HTML and charts are drawn from it alone.

Owns the record and its Markdown. It holds no time and no address: the same run gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from engine.cd.pipeline.hypotheses import Status, record_of
from engine.cd.pipeline.journal import Budget
from engine.cd.pipeline.run import Findings
from engine.cd.pipeline.stopping import adjusted
from engine.cd.prompts.asked import AskedPrompt
from engine.printable import printable
from engine.significance import cohens_h_words

Report = Mapping[str, Any]
STATUSES: Sequence[Status] = get_args(Status)


def report_of(
    about: Mapping[str, Any], findings: Findings, prompts: Mapping[str, AskedPrompt], budget: Budget, topics_by: str
) -> dict[str, Any]:
    """about: which run it is, of which models, with what settings."""
    p = adjusted(findings.hypotheses)
    spent = budget.spent
    return {
        **about,
        "cycles": findings.cycles,
        "stopped": findings.stopped,
        "spent": {
            "requests": spent.requests,
            "tokens": spent.tokens,
            "texts": budget.texts,
            "unread_replies": spent.unread,
            "repaired_replies": spent.repaired,
        },
        "hypotheses": [record_of(one) | {"p_adjusted": p.get(one.id)} for one in findings.hypotheses],
        "knowledge": findings.knowledge,
        "survey": findings.survey,
        "topics": {"told_by": topics_by, "summaries": findings.summaries} if findings.relevance else None,
        "prompts": [
            {
                "id": name,
                "text": prompts[name].text,
                "source": findings.sources[name],
                "cycle": cycle,
                "divergence": findings.divergences.get(name),
                "relevance": findings.relevance.get(name),
            }
            for name, cycle in findings.first_seen.items()
        ],
    }


def counts(report: Report) -> Counter[str]:
    return Counter(one["status"] for one in report["hypotheses"])


def held_out(hypothesis: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((one for one in hypothesis["evidence"] if one["kind"] == "held-out"), None)


def verdict(hypothesis: Mapping[str, Any]) -> str:
    """A hypothesis' numbers in one line."""
    test = held_out(hypothesis)
    if test is None:
        return hypothesis["note"] or "not tested"
    experiment = hypothesis["experiment"]
    size = f" ({cohens_h_words(test['effect'])})" if test["effect_name"] == "Cohen's h" and test["effect"] > 0 else ""
    unread = f"; {test['unread']} texts without an answer" if test["unread"] else ""
    return (
        f"{_amounts(experiment['measure'], test['starting'], test['comparison'])}; {test['effect_name']} {test['effect']:+.2f} "
        f"[{test['low']:+.2f}, {test['high']:+.2f}]{size}; p = {test['p']:.2g}, needed {test['level']:.2g}, adjusted "
        f"{hypothesis['p_adjusted']:.2g}; {test['prompts']} prompts, {test['texts']} texts{unread}"
    )


def legend(report: Report) -> str:
    """What the statuses mean, in the words of the how-to."""
    settings = report["settings"]
    return (
        "Supported: p reached the level that it needed, on prompts that had suggested nothing. Refuted: it did not, and the "
        f"whole 95 % interval of the effect lies below {settings['smallest_effect']:g}; a smaller difference may still be "
        "there. Inconclusive: neither of these, or there was no test; more samples or prompts may decide it."
    )


def by_strength(report: Report) -> list[Mapping[str, Any]]:
    """The hypotheses, supported ones first, the surest of each kind first."""
    order = {status: place for place, status in enumerate(("supported", "inconclusive", "refuted", "open"))}
    return sorted(report["hypotheses"], key=lambda one: (order[one["status"]], _p(one), one["id"]))


def headline(report: Report) -> str:
    """The run in a sentence."""
    counted = counts(report)
    told = ", ".join(f"{counted[status]} {status}" for status in STATUSES if counted[status]) or "none proposed"
    return (
        f"{report['models']['starting']} against {report['models']['comparison']}: {len(report['hypotheses'])} hypotheses in "
        f"{report['cycles']} cycles ({told})"
    )


def markdown(report: Report) -> str:
    settings, spent = report["settings"], report["spent"]
    lines = [
        f"# How {_safe(report['models']['starting'])} differs from {_safe(report['models']['comparison'])}",
        "",
        f"{_safe(headline(report))}. Stopped: {_safe(report['stopped'])}.",
        "",
        f"Hypotheses by {_safe(report['assistant'] or 'counting, without an assistant')}; tested on held-out prompts "
        f"({settings['held_out']:.0%} of all), false discoveries held at {settings['alpha']:g} (LOND; adjusted p by "
        "Benjamini and Hochberg).",
        "",
        f"Spent: {spent['requests']} requests, {spent['tokens']} tokens, {spent['texts']} texts; {spent['unread_replies']} "
        f"replies could not be read, {spent['repaired_replies']} could after a repair.",
        "",
        "## Hypotheses",
        "",
        _safe(legend(report)),
        "",
    ]
    for one in by_strength(report):
        lines += [f"### {one['id']} {one['status']}: {_safe(one['text'])}", "", f"- {_safe(verdict(one))}"]
        lines += [f"- from: {_safe(one['reason'])}"] if one["reason"] else []
        lines += [*_experiment(one), ""]
    lines += ["## What each cycle found", "", *(f"{n}. {_safe(told)}" for n, told in enumerate(report["knowledge"], 1)), ""]
    lines += [*_survey(report), *_topics(report), *_prompts(report)]
    return "\n".join(lines).rstrip() + "\n"


def _amounts(measure: str, first: float, second: float) -> str:
    """The two means of a test, with what they are means of."""
    if measure == "divergence":
        return f"prompts {first:.3g}, controls {second:.3g}"
    if measure == "words":
        return f"starting {first:.3g}, comparison {second:.3g} words"
    return f"starting {first:.1%}, comparison {second:.1%} of texts"


def _experiment(one: Mapping[str, Any]) -> list[str]:
    experiment = one["experiment"]
    if experiment is None:
        return []
    what = ", ".join(experiment["phrases"]) or experiment["criterion"] or ""
    told = f"{experiment['measure']} {what}".strip()
    return [f"- experiment: {_safe(told)}; expected: {experiment['expected']}; {len(experiment['prompts'])} prompts of its own"]


def _survey(report: Report) -> list[str]:
    survey = report["survey"]
    if survey is None:
        return []
    lines = ["## First look", ""]
    for number, cluster in enumerate(survey["clusters"], start=1):
        said = cluster["said"] or {"theme": "the theme could not be read", "difference": ""}
        lines.append(f"{number}. {cluster['prompts']} prompts: {_safe(said['theme'])}. {_safe(said['difference'])}".rstrip())
    overall = survey["overall"]
    if overall is None:
        return [*lines, "", "The overall analysis could not be read.", ""]
    lines.append("")
    for name in ("themes", "examples", "biases", "suggestions"):
        lines += [f"- {name}: {_safe('; '.join(overall[name]))}"] if overall[name] else []
    return [*lines, ""]


def _topics(report: Report) -> list[str]:
    topics = report["topics"]
    if topics is None:
        return []
    told = [f"- {_safe(topic)}: {_safe(summary)}" for topic, summary in topics["summaries"].items()]
    return ["## Topics", "", f"Relevance is told by {topics['told_by']}.", "", *told, ""]


def _prompts(report: Report) -> list[str]:
    known = [one for one in report["prompts"] if one["divergence"] is not None]
    ranked = sorted(known, key=lambda one: (-one["divergence"], one["id"]))[:10]
    rows = [f"| {one['divergence']:.3f} | {one['cycle']} | {_safe(one['source'])} | {_safe(one['text'])} |" for one in ranked]
    head = ["| divergence | cycle | from | prompt |", "| ---: | ---: | --- | --- |"]
    return ["## Explored prompts of the highest divergence", "", *head, *rows] if rows else []


def _safe(text: str) -> str:
    """Text of models and data in Markdown: on one line, and none of it markup."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in printable(text))


def _p(one: Mapping[str, Any]) -> float:
    test = held_out(one)
    return test["p"] if test else 2.0
