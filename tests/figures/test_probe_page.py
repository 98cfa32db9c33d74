"""The interactive page of a study: what is in it, and in a real browser what the mouse finds."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from figures.browser import Browser, program
from figures.probe_tables import GROUPS, HEADS, LAYERS, ProbeTables

from rewire.errors import InputError
from rewire.figures import probe_page
from rewire.tables import schema, write_table

TABLES = ("prompts", "patches", "summary", "patterns")
NASTY = "</script><img src=x onerror=alert(1)>&amp;\"'"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Synthetic tables; the first token that differs is hostile text."""
    tables = ProbeTables(tmp_path_factory.mktemp("page"))
    paths = {name: getattr(tables, name)() for name in TABLES}
    prompts = pd.read_parquet(paths["prompts"])
    prompts["clean"] = [[*row[:2], NASTY, *row[3:]] for row in prompts["clean"]]
    prompts["corrupted"] = [[*row[:2], NASTY, *row[3:]] for row in prompts["corrupted"]]
    prompts["positions"] = prompts["positions"].map(list)
    prompts["labels"] = prompts["labels"].map(list)
    texts = {"id": "string", "group": "string"} | dict.fromkeys(
        ("clean", "corrupted", "labels"), "list<string>"
    )
    numbers = dict.fromkeys(("template", "difference"), "int32") | {"positions": "list<int32>"}
    ends = dict.fromkeys(("logit_diff_clean", "logit_diff_corrupted"), "float64")
    write_table(paths["prompts"], prompts.to_dict("records"), schema(**texts, **numbers, **ends))
    return paths


@pytest.fixture(scope="module")
def page(tables, tmp_path_factory):
    path = tmp_path_factory.mktemp("html") / "interactive.html"
    probe_page.draw(*tables.values(), "a study <of> & names", path)
    return path


def test_the_same_bytes_and_nothing_from_outside(page, tables):
    before = page.read_bytes()
    probe_page.draw(*tables.values(), "a study <of> & names", page)
    assert page.read_bytes() == before
    text = page.read_text()
    assert "<title>a study &lt;of&gt; &amp; names</title>" in text and "default-src 'none'" in text
    assert not re.search(
        r"(?:src|href)\s*=|https?:|@import|url\(", text.replace(NASTY, "").replace("img src=x", "")
    )
    assert "</script><img" not in text and text.count("</script>") == 2


@pytest.mark.parametrize("seed", ["1", "8"])  # they turn the groups around
def test_the_same_bytes_whatever_order_sets_have(page, tables, tmp_path, seed):
    """Of strings it depends on PYTHONHASHSEED, which is another in every process: one process alone cannot tell."""
    call = "import sys; from rewire.figures.probe_page import draw; draw(*sys.argv[1:])"
    other = tmp_path / "interactive.html"
    arguments = [*map(str, tables.values()), "a study <of> & names", str(other)]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    subprocess.run([sys.executable, "-c", call, *arguments], check=True, env=environment)
    assert other.read_bytes() == page.read_bytes()


def test_every_grid_of_the_tables_is_in_the_page(page):
    """As many as sites, heads, runs and prompts; values as the tables have them."""
    text = re.search(r'id="data">(.*?)</script>', page.read_text(), re.S).group(1)
    positions, heads, attention = json.loads(text)["sections"]
    assert len(positions["grids"]) == 2 * 3 and len(attention["grids"]) == 2 * 2 * 2
    assert list(dict.fromkeys(grid["choice"]["group"] for grid in heads["grids"])) == ["all", *sorted(GROUPS)]
    entering = positions["grids"][0]
    assert entering["columns"] == ["‹name›", NASTY, "‹last›"] and entering["rows"] == ["2", "1", "0"]
    assert np.allclose(entering["values"], [[1, 0, 0]] * LAYERS)
    output = heads["grids"][0]
    assert (
        output["title"] == "output (z)"
        and output["values"][0][1] == 0.9
        and len(output["values"][0]) == HEADS
    )
    assert output["notes"][0][1] == "95 % CI 0.800 to 1.000, q = 0.010, n = 6"
    assert attention["grids"][0]["choice"] == {"prompt": "start: 1-0", "head": "2.1 (recovers 90 %)"}
    assert (
        attention["grids"][0]["values"][3][:2] == [0.0, 0.75]
        and attention["grids"][0]["values"][0][1] is None
    )


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_a_column_is_named(name, tables, tmp_path):
    broken = tmp_path / f"{name}.parquet"
    pd.read_parquet(tables[name])[[]].assign(nothing=1).to_parquet(broken)
    with pytest.raises(InputError, match=rf"{name}\.parquet: no column"):
        probe_page.draw(*(tables | {name: broken}).values(), "x", tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    path = program()
    if path is None:
        pytest.skip(
            "no Chromium: install one (apt-get install chromium-headless-shell) or name it in REWIRE_BROWSER"
        )
    browser = Browser(path, tmp_path_factory.mktemp("profile"))
    browser.open(page)
    yield browser
    browser.close()


def pointed(browser, selector: str, number: int = 0) -> list[str]:
    """What is written beside the mouse, line by line; nothing if nothing is shown."""
    browser.hover(selector, number)
    shown = browser.value("getComputedStyle(document.getElementById('tip')).display") != "none"
    return browser.value("document.getElementById('tip').textContent").split("\n") if shown else []


class TestInABrowser:
    def test_nothing_is_shown_before_the_mouse_moves(self, browser):
        assert browser.value("document.getElementById('tip').hidden")
        assert browser.value("document.title") == "a study <of> & names"

    def test_a_cell_of_the_patch_grid_says_token_and_value(self, browser):
        cells = "#positions .grids > :first-child tbody tr:last-child td"
        assert pointed(browser, cells) == [
            "token ‹name›",
            "layer 0, residual stream, entering",
            "recovered: 1.000",
        ]
        assert pointed(browser, cells, 1) == [
            f"token {NASTY}",
            "layer 0, residual stream, entering",
            "recovered: 0.000",
        ]
        last = "#positions .grids > :nth-child(2) tbody tr:first-child td"
        assert pointed(browser, last, 2) == ["token ‹last›", "layer 2, attention out", "recovered: 0.250"]
        scale = browser.value("document.querySelector('#positions .axis').textContent")
        assert scale == "layer down, token across; the deepest colours stand for ±1.000"

    def test_a_cell_of_the_head_grid_says_head_value_and_interval(self, browser):
        found = pointed(browser, "#heads .grids > :first-child tbody tr:first-child td", 1)
        assert found[:3] == ["head 1", "layer 2, output (z)", "recovered: 0.900"]
        assert found[3] == "95 % CI 0.800 to 1.000, q = 0.010, n = 6"

    def test_a_cell_of_the_attention_says_both_tokens(self, browser):
        cells = "#attention .grids > :first-child tbody tr:last-child td"
        assert pointed(browser, cells, 1) == [
            "attention to 1 ␣name0",
            "from 3 ␣verb0, clean run",
            "attention: 0.750",
        ]
        assert (
            pointed(browser, "#attention .grids > :first-child tbody tr:first-child td", 2) == []
        )  # the future

    def test_the_mark_goes_when_the_mouse_leaves_the_cells(self, browser):
        assert pointed(browser, "#heads tbody td") and pointed(browser, "h1") == []

    def test_menus_change_what_is_drawn(self, browser):
        browser.value(
            "(s => { s.value = 'end'; s.dispatchEvent(new Event('change')); })(document.querySelector('#heads select'))"
        )
        assert browser.value("document.querySelectorAll('#heads table').length") == 5
        assert (
            pointed(browser, "#heads .grids > :first-child tbody tr:first-child td", 1)[2]
            == "recovered: 0.900"
        )
        browser.value(
            "(s => { s.selectedIndex = 1; s.dispatchEvent(new Event('change')); })(document.querySelector('#attention select'))"
        )
        found = pointed(browser, "#attention .grids > :first-child tbody tr:last-child td", 4)
        assert found == ["attention to 4 ␣verb0", "from 4 ␣verb0, clean run", "attention: 0.250"]

    def test_no_script_failed_and_nothing_was_fetched(self, browser, page):
        assert browser.failures == [] and set(browser.requests) == {page.resolve().as_uri()}
        assert browser.value("document.images.length") == 0
