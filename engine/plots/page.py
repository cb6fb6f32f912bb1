"""One self-contained HTML page: readable on a phone and on paper, without scripts.

Owns the frame, the style, tables, and how text becomes harmless in a page. Its content security policy forbids scripts and
everything from elsewhere, so text of models and data could not act even where escaping failed; callers escape all the same.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Literal

from engine.printable import printable

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; margin: .4rem 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .4rem; border-bottom: 2px solid #377eb8; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
.note { color: #666; font-size: .85rem; margin: .2rem 0 .8rem; }
.warning { border-left: 4px solid #d9480f; background: #fff4e6; padding: .4rem .8rem; margin: .4rem 0; }
.scroll { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e5e5e5; text-align: left; vertical-align: top; }
th { background: #f6f8fa; white-space: nowrap; } td.number, th.number { text-align: right; white-space: nowrap; }
td { overflow-wrap: anywhere; } td.text { min-width: 8.5rem; }
tr:hover td { background: #fafcff; }
img { max-width: 100%; height: auto; }
code { font-size: .85em; overflow-wrap: anywhere; }
details { margin: .5rem 0; } summary { cursor: pointer; color: #377eb8; }
.score { display: inline-block; font-size: .75rem; color: #555; background: #eef3f8; border-radius: .6rem; padding: 0 .5rem; }
.chips { line-height: 2.1; } .chip { padding: .15rem .1rem; border-radius: .2rem; color: #111; white-space: pre; }
.colored { line-height: 1.9; white-space: pre-wrap; overflow-wrap: anywhere; } .lead { color: #666; }
.colored span { padding: .1rem 0; border-radius: .15rem; }
.chip.answer { border-bottom: 2px solid #333; } sup { font-size: .6em; }
@media (max-width: 40rem) { body { padding: .6rem; font-size: 14px; } }
@media print {
  body { max-width: none; font-size: 10pt; } .scroll { overflow: visible; } td.text { min-width: 0; } h2 { break-after: avoid; }
  img, tr { break-inside: avoid; } .chip, .colored span, .warning, th { print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
}
"""


def page(title: str, body: str) -> str:
    """A whole document. `body` is HTML, `title` is text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def escaped(text: str) -> str:
    """Text of ours, of data or of a model, as it can do nothing in a page: also no reordering of what is around it."""
    return html.escape(printable(text), quote=True)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], cells: Literal["text", "number"] = "text") -> str:
    """Of texts."""
    return html_table(heads, ([escaped(cell) for cell in row] for row in rows), cells)


def html_table(heads: Sequence[str], rows: Iterable[Sequence[str]], cells: Literal["text", "number"] = "text") -> str:
    """heads: texts; rows: HTML, which callers make of texts with `escaped`."""
    kind = ' class="number"' if cells == "number" else ""
    top = "".join(f"<th{kind}>{escaped(head)}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(f'<td class={cells}>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'
