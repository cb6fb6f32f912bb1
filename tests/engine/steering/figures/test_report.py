"""The page of a report: everything a reader needs, in one file, in which nothing from models or data can act."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from engine.steering.cli import main
from engine.steering.experiment import unsteered
from engine.steering.figures.measured import open_sweep
from engine.steering.figures.settings import PlotSettings

SWEEP = ["--multipliers", "-1", "0", "1", "--samples", "1"]
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\u202e&amp; {{7*7}} $x$"
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "a", "div", "table", "tr", "th", "td", "details",
    "summary", "img", "span",
}  # fmt: skip


class Page(HTMLParser):
    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.words = ""
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        self.words += data
        if self.cells:
            self.cells[-1] += data


@pytest.fixture
def page(records, capsys):
    """Of a sweep whose answers are hostile, one in ten unparsed, with a cost at +1."""
    settings = PlotSettings(multipliers=(-1.0, 0.0, 1.0), samples=2)
    experiment = records.vectors(settings)
    judge = open_sweep(settings).judge
    assert judge
    for cell in records.cells(settings):
        m = cell.multiplier
        records.answers(
            experiment,
            cell,
            judge.scorer,
            lambda prompt, sample, m=m: (f"{m:+g} {sample} {HOSTILE}", None if prompt.endswith("0") else m > 0),
        )
        records.passages(experiment, cell, [(0, 30 + 20 * max(m, 0), 10)])
    assert main(["report", "--html", "--behaviors", "agree", *SWEEP]) == 0
    out, _ = capsys.readouterr()
    assert "\x1b" not in out
    (path,) = (records.root / "artifacts/plots").glob("report-agree-*.html")
    return Page(path.read_text(encoding="utf-8")), experiment, judge


def test_nothing_of_a_model_can_act(page):
    found, _, _ = page
    assert {tag for tag, _ in found.tags} <= ALLOWED
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    sources = [attributes["src"] for tag, attributes in found.tags if tag == "img"]
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    assert all(link.startswith("#") for link in links)
    assert "<script>alert(1)</script>" in found.words  # shown, as text
    assert not set("\x1b\u202e") & set(found.words)
    policy = [attributes["content"] for tag, attributes in found.tags if attributes.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    for source in sources:
        root = ElementTree.fromstring(base64.b64decode(source.partition(",")[2]))
        assert root.tag.endswith("svg")


def test_it_tells_where_the_numbers_come_from(page):
    found, experiment, judge = page
    for told in (
        experiment.source.identity,
        experiment.data.contrast.hash(),
        experiment.data.test.hash(),
        experiment.vectors_path.name,
        judge.scorer,
        "80 positive, 80 negative",
        "Layer 2 was chosen on 80 validation questions",
        "-1, 0, 1",
    ):
        assert told in found.words, told


def test_it_says_what_to_doubt(page):
    found, _, _ = page
    warnings = found.words[found.words.index("What to keep in mind") : found.words.index("What was done")]
    assert "not checked" in warnings
    assert "10% of vector at -1" in warnings
    assert "7.4 times at +1" in warnings  # e²


def test_answers_stand_side_by_side_with_their_judgements(page):
    found, experiment, _ = page
    first = experiment.data.test.prompts[1].chat[-1].content
    at = found.cells.index(first)
    assert [cell[:4] for cell in found.cells[at + 1 : at + 4]] == ["-1 0", "+0 0", "+1 0"]
    assert [cell.rsplit(" ", 1)[1].strip() for cell in found.cells[at + 1 : at + 4]] == ["no", "no", "yes"]


def test_a_report_of_nothing_writes_no_page(records, capsys):
    records.vectors(PlotSettings())
    assert main(["report", "--html", "--behaviors", "agree"]) == 1
    assert "tiller steer apply" in capsys.readouterr().err
    assert not (records.root / "artifacts/plots").exists()


def test_beside_the_answers_of_an_edit_stand_the_unsteered_ones(records, capsys):
    settings = PlotSettings(multipliers=(-1.0, 0.0), samples=1, edit="project")
    experiment = records.vectors(settings)
    judge = open_sweep(settings).judge
    assert judge
    cells = [*records.cells(settings), unsteered(experiment, settings)]
    for cell, text in zip(cells, ("against", "erased", "as it is"), strict=True):
        records.answers(experiment, cell, judge.scorer, lambda *_, text=text: (text, True))
    options = ["--multipliers", "-1", "0", "--samples", "1", "--edit", "project"]
    assert main(["report", "--html", "--behaviors", "agree", *options]) == 0
    capsys.readouterr()
    (path,) = (records.root / "artifacts/plots").glob("report-agree-*.html")
    content = path.read_text(encoding="utf-8")
    heads = [f"<th>{head}</th>" for head in ("prompt", "unsteered", "-1 × v with project", "0 × v with project")]
    assert "".join(heads) in content
    texts = [cell.split()[0] for cell in Page(content).cells if cell.startswith(("as it is", "against", "erased"))]
    assert texts[:3] == ["as", "against", "erased"]
