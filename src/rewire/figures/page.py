"""One self-contained HTML file of heatmaps whose cells say their name and value under the pointer. Fetches nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from rewire.figures.page_script import SCRIPT, STYLE
from rewire.figures.style import DIVERGING, printable
from rewire.whole_file import write_whole

SHADES = 101  # of the colour scale
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p>{text}</p>
<noscript><p>The heatmaps are drawn by a script in this file; the same numbers are in the tables and the other figures.</p></noscript>
<main></main>
<div id="tip" role="status" hidden></div>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


@dataclass(frozen=True)
class Grid:
    """A heatmap. ``values``: [rows, columns], NaN where nothing was measured; ``limit``: the end of its colour scale.

    ``notes``: what else a cell says; ``triangle``: cells right of the diagonal are not drawn. ``choice``: by what it is
    found in its section's menus; grids of one choice stand side by side.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: np.ndarray
    limit: float
    choice: Mapping[str, str]
    notes: Sequence[Sequence[str]] | None = None
    triangle: bool = False


@dataclass(frozen=True)
class Section:
    """Heatmaps of one kind. ``row``, ``column``, ``measure``: what a cell's row, column and value are called."""

    id: str
    title: str
    text: str
    row: str
    column: str
    measure: str
    grids: Sequence[Grid]


def write_page(path: str | Path, title: str, text: str, sections: Sequence[Section]) -> None:
    """Write the page, whole or not at all, the same bytes for the same numbers.

    Errors: InputError that names the file that cannot be written.
    """
    shades = [to_hex(DIVERGING(share)) for share in np.linspace(0, 1, SHADES)]
    data = {"colours": shades, "sections": [plain(asdict(section)) for section in sections]}
    # `<` as an escape: no text of the data can end the element that holds it
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )
    html = PAGE.format(
        title=escape(printable(title)), text=escape(printable(text)), style=STYLE, data=written, script=SCRIPT
    )
    write_whole(path, [html.encode()])


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: four digits of a number, null for NaN, printable text."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value
