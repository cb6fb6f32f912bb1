"""An analysis as it is told: in a terminal, as a page, as pictures, and as the record that all three are made from."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from engine.cd.analysis.analysis import AnalysisRecord, PlacedText, from_json, to_json
from engine.cd.analysis.findings import Finding, Skipped
from engine.cd.analysis.generative import Generated
from engine.cd.analysis.html_report import analysis_page
from engine.cd.analysis.pictures import pictures
from engine.cd.analysis.regions import Region
from engine.cd.analysis.report import conclusions, opening, ordered, summary
from engine.cd.analysis.validation import Validation

HOSTILE = "\x1b[31mred</td><script>alert(1)</script>\nnext \u202eline"


def validation(score: float, p: float, h: float = 0.9) -> Validation:
    return Validation("auc", score, score - 0.1, score + 0.1, p, 30, 30, 12, 0.4, 0.1, h, "dramatically")


def finding(name: str, adjusted: float, region: int | None = None, statement: str = "The text contains “x”") -> Finding:
    return Finding("label", name, region, statement, ("x",), validation(0.7, adjusted / 2), adjusted, 0.6, 2)


def record(**changes) -> AnalysisRecord:
    texts = tuple(
        PlacedText(f"t{number}", number % 2, f"p{number}", "prompt", HOSTILE, None if number == 5 else number / 10, "test",
                   None if number == 4 else 0, float(number), -float(number))
        for number in range(6)
    )  # fmt: skip
    region = Region("region 1", (3, 2), (0.2, None), (3, None), 0.5, ("t0",), ("t1",), ("t3",), None)
    made = AnalysisRecord(
        "k" * 16, {"A": ("a" * 16, "S / C"), "B": ("b" * 16, "other")}, {"measure": "js", "map": "pca"}, {},
        {"A": {"label": 1, "select": 1, "test": 1}, "B": {"label": 1, "select": 1, "test": 1}}, 6, 1, 0.05, (region,),
        (finding("B over A", 0.3), finding("A over B", 0.01, 0, HOSTILE)),
        (Skipped("A over B in region 2", 1, "too few"), Skipped("B over A in region 2", 1, "too few")),
        (Generated("The text is x", "A over B", 12, 0.8, 0.9, 0.01, 0.01, 0.3),), texts,
    )  # fmt: skip
    return replace(made, **changes)


def test_a_record_is_read_back_as_it_was_written():
    assert from_json(to_json(record())) == record()


def test_what_is_no_record_is_refused():
    with pytest.raises(ValueError, match="texts"):
        from_json(b'{"key": "k"}')


def test_the_surest_findings_come_first():
    assert [one.comparison for one in ordered(record())] == ["A over B", "B over A"]
    assert summary(record()) == "1 of 2 findings validated (FDR 0.05)"


def test_the_terminal_is_told_all_in_80_columns():
    said = f"{opening(record())}\n{conclusions(record())}"
    assert all(len(line) <= 80 for line in said.splitlines())
    told = (
        "1 texts were left out",
        "region 1",
        "✓ A over B",
        "adjusted 0.0100; 2 not answered by the judge",
        "· B over A",
        "· A over B in region 2, B over A in region 2: too few",
        "The text is x: confirmed",
    )
    for part in told:
        assert part in said, part


def test_neither_texts_nor_labels_can_act_on_a_terminal():
    said = f"{opening(record())}\n{conclusions(record())}"
    assert not set(said) & {"\x1b", "\u202e"}


def test_neither_texts_nor_labels_can_act_in_a_page():
    drawn = {name: picture.drawn()["svg"] for name, picture in pictures(record()).items()}
    page = analysis_page(record(), drawn)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert page.count("data:image/svg+xml") == 3


def test_every_text_is_on_the_map_and_every_finding_in_the_pictures():
    drawn = pictures(record())
    rows = list(csv.DictReader(io.StringIO(drawn["map"].numbers())))
    by_region = [row for row in rows if row["panel"] == "Texts by region"]
    assert {(row["label"], row["group"]) for row in by_region} == {
        (f"t{number}", "in no cluster" if number == 4 else "region 1") for number in range(6)
    }
    assert {row["label"] for row in rows if row["panel"] == "Texts by js"} == {"t0", "t1", "t2", "t3", "t4"}
    effects = list(csv.DictReader(io.StringIO(drawn["effects"].numbers())))
    assert [(float(row["value"]), row["group"]) for row in effects] == [(0.2, "validated"), (0.2, "not validated")]
    [beside] = csv.DictReader(io.StringIO(drawn["divergence"].numbers()))
    assert float(beside["x"]) == pytest.approx((0 + 0.1 + 0.2 + 0.3) / 4)


def test_an_analysis_without_clusters_or_findings_is_told_too():
    nothing = record(
        regions=(), findings=(), skipped=(), generated=(), texts=tuple(replace(one, region=None) for one in record().texts)
    )
    assert "No clusters were found." in opening(nothing)
    assert conclusions(nothing) == "0 of 0 findings validated (FDR 0.05):"
    assert set(pictures(nothing)) == {"map"}
    assert "Regions" not in analysis_page(nothing, {})


def test_many_findings_that_did_not_hold_are_counted_in_a_terminal():
    many = tuple(finding(f"comparison {number}", 0.5) for number in range(12))
    assert conclusions(record(findings=many)).count("· comparison") == 8
    assert "and 4 more" in conclusions(record(findings=many))
