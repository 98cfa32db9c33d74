import pandas as pd
import pytest

from rewire.figures import claims
from rewire.figures.frames import read_frame


def test_both_files_and_the_same_bytes(tables, drawn):
    table = tables.claims("Heads of <b>&</b> $layer_5$ change")
    text = drawn(lambda png, svg: claims.draw(table, png, svg))
    assert "Heads of &lt;b&gt;&amp;&lt;/b&gt; $layer_5$ change" in text and "<b>" not in text
    for label in ("68.8 % [55.0, 81.2]", "✗ not supported", "– not run", "gpt2 · cnn_dailymail"):
        assert label in text


def test_title_counts_the_verdicts(tables):
    out = claims.figure(read_frame(tables.claims(), claims.COLUMNS))
    assert out.get_suptitle() == "Published claims: 2 supported, 1 not supported, 1 inconclusive, 1 not run"


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.2848, 0.21, 0.35, "0.285 [0.210, 0.350]"),
        (-1.5, -2.0, 0.25, "−1.50 [−2.00, 0.25]"),
        (5.0, None, None, "5"),
        (0.0, 0.0, 0.0, "0 [0, 0]"),
        (1234.5, 1000.0, 1500.0, "1,234 [1,000, 1,500]"),
        (0.5, None, 1.0, "0.500"),
        (None, None, None, "—"),
    ],
)
def test_our_value(value, low, high, text):
    row = pd.Series({"value": value, "low": low, "high": high}, dtype=float)
    assert claims.ours(row, "") == text
