"""Files that a person brings, damaged at random or full of odd text: read right, or refused in one line that names them."""

import csv
import json
import math
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from circuits.damage import damaged_bytes, damaged_content
from circuits.random_scores import GRAPHS, random_circuit, random_scores
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightly import tries
from tiny_models import tiny_tokenizer

from rewire import prompts
from rewire.articles.sources import write_articles
from rewire.circuits import interchange
from rewire.errors import InputError
from rewire.figures.circuit_file import read_circuit
from rewire.pair_schema import SCHEMA
from rewire.pairs import TokenPairs, read_pairs
from rewire.tables import read_table, write_table

ENDINGS = ("json", "jsonl", "csv", "parquet")
PLAIN = [None, True, 0, -1, 10**20, 0.5, 1e300, math.nan, -math.inf, "", "\ud800", "text", [], {}, [[1]]]


MOST = 16 * 10**9  # bytes: a reader that believes a size in its file must not take the machine with it


@pytest.fixture(scope="module", autouse=True)
def bounded() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def fuzzed(usual: int, nightly: int) -> Any:
    return settings(
        max_examples=tries(usual, nightly),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def check_message(error: InputError, path: Path) -> None:
    message = str(error)
    assert str(path) in message and len(message.splitlines()) == 1 and len(message) < 600, message


ROWS = [
    {"id": f"k{n}", "article": f'Article {n}, with a comma.\nSecond "line" é🎉.', "summary": f"Summary {n}."}
    for n in range(4)
]


def write(path: Path, rows: list[dict[str, Any]]) -> bytes:
    """``rows`` in the format of the path's ending."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path.read_bytes()


def articles(path: Path, out: Path) -> list[dict[str, str]] | None:
    """The articles of a file, None if it is refused."""
    out.unlink(missing_ok=True)
    entry = {"source": "files", "files": {"all": str(path)}, "splits": {"train": "all"}}
    entry["columns"] = {"id": "id", "article": "article", "summary": "summary"}
    try:
        write_articles(entry, "train", out)
    except InputError as error:
        check_message(error, path)
        assert not out.exists()
        return None
    rows = read_table(out).to_pylist()
    assert rows and all(row["article"].strip() and row["summary"].strip() for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    return rows


@pytest.mark.parametrize("ending", ENDINGS)
@fuzzed(30, 700)
@given(data=st.data())
def test_damaged_articles_are_read_or_refused(ending: str, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{ending}"
    content = write(path, ROWS)
    path.write_bytes(data.draw(damaged_bytes(content)))
    articles(path, tmp_path / "out.parquet")


@pytest.mark.parametrize("ending", ["json", "jsonl"])
@fuzzed(30, 500)
@given(data=st.data())
def test_articles_with_values_of_any_kind_are_read_or_refused(
    ending: str, data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / f"rows.{ending}"
    rows = data.draw(damaged_content(ROWS, st.sampled_from(PLAIN)))
    rows = [row for row in rows if isinstance(row, dict)] if ending == "jsonl" else rows
    write(path, rows)
    articles(path, tmp_path / "out.parquet")


odd_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize("ending", ENDINGS)
@fuzzed(30, 500)
@given(
    rows=st.lists(
        st.fixed_dictionaries(dict.fromkeys(("id", "article", "summary"), odd_text)), min_size=1, max_size=4
    )
)
def test_articles_of_any_text_come_back(ending: str, rows: list[dict[str, str]], tmp_path: Path) -> None:
    """But for the rows that are dropped by rule: empty ones, and those with an id seen before."""
    path = tmp_path / f"rows.{ending}"
    write(path, rows)
    expected: dict[str, dict[str, str]] = {}
    for row in rows:
        article, summary = row["article"].strip(), row["summary"].strip()
        if article and summary:
            expected.setdefault(row["id"], {"id": row["id"], "article": article, "summary": summary})
    found = articles(path, tmp_path / "out.parquet")
    assert found == (list(expected.values()) or None)


PAIRS = [
    {
        "id": f"p{n}",
        "clean": [3, 1, 4, 1, 5, 9][: 4 + n],
        "corrupted": [3, 1, 2, 1, 5, 9][: 4 + n],
        "target_start": 3,
        "masked_spans": [[2, 3]],
        "sentence_spans": [[0, 3]],
        "sentence_scores": [0.5],
    }
    for n in range(3)
]


def pairs_of(path: Path) -> None:
    try:
        ids, pairs = read_pairs(path)
    except InputError as error:
        check_message(error, path)
        return
    assert len(ids) == len(pairs) and isinstance(pairs, TokenPairs)
    assert (pairs.clean >= 0).all() and (pairs.target_tokens > 0).all()


@fuzzed(100, 1000)
@given(data=st.data())
def test_damaged_tables_of_pairs_are_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    write_table(path, PAIRS, SCHEMA)
    path.write_bytes(data.draw(damaged_bytes(path.read_bytes())))
    pairs_of(path)


@fuzzed(100, 1000)
@given(data=st.data())
def test_pairs_of_any_content_are_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    rows = data.draw(
        damaged_content(PAIRS, st.sampled_from([None, 0, -1, 7, 2**31 - 1, [], [-1], [None], [2]]))
    )
    path = tmp_path / "pairs.parquet"
    try:
        write_table(path, rows, SCHEMA)
    except (pa.ArrowException, TypeError, AttributeError):  # no table can hold it
        return
    pairs_of(path)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


any_text = st.text(max_size=60) | st.sampled_from(
    ["<|endoftext|>", "\nTL;DR:", "\u2028", "\x00", "👩‍👩‍👧‍👦", "e\u0301"]
)
LANGUAGES = ["en", "de", "ja", "ar", "xx", ""]


@fuzzed(100, 1500)
@given(article=any_text, summary=any_text, context=st.integers(-1, 60), language=st.sampled_from(LANGUAGES))
def test_prompts_of_any_text_fit_or_are_refused(
    tokenizer: Any, article: str, summary: str, context: int, language: str
) -> None:
    """Lone surrogates, special tokens, no text at all, languages that nobody speaks."""
    try:
        prompt = prompts.build(tokenizer, "row-1", article, summary, context, language)
    except InputError as error:
        assert "row row-1" in str(error) and len(str(error).splitlines()) == 1
        return
    assert len(prompt.tokens) <= context and prompt.summary[-1] == tokenizer.eos_token_id
    assert prompt.tokens.count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(prompt.summary[:-1]) == " " + summary.strip()


@fuzzed(100, 1000)
@given(texts=st.lists(st.tuples(any_text, any_text), max_size=3), wrong=any_text)
def test_pairs_of_any_texts_are_made_or_refused(
    tokenizer: Any, texts: list[tuple[str, str]], wrong: str
) -> None:
    clean, corrupted = [pair[0] for pair in texts], [pair[1] for pair in texts]
    try:
        pairs = TokenPairs(clean, corrupted, tokenizer=tokenizer, wrong_token=[wrong] * len(texts))
    except InputError as error:
        assert str(error).startswith("pairs: ") and len(str(error).splitlines()) == 1
        return
    assert len(pairs) == len(texts)


@fuzzed(150, 1500)
@given(data=st.data())
def test_a_damaged_circuit_is_drawn_as_it_is_read(data: st.DataObject, tmp_path: Path) -> None:
    """The figures' reader and the library's agree on every file that both take."""
    path = tmp_path / "circuit.json"
    scores = random_scores(GRAPHS[0], "edge")
    interchange.write_eap_json(random_circuit(scores), scores, path)
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged_bytes(path.read_bytes())))
    else:
        content = data.draw(damaged_content(json.loads(path.read_text()), st.sampled_from(PLAIN)))
        path.write_text(json.dumps(content))
    try:
        drawn = read_circuit(path)
    except InputError as error:
        check_message(error, path)
        return
    try:
        read, circuit = interchange.read_eap_json(path)
    except InputError:
        return
    graph = circuit.graph
    in_graph = {graph.edge_name(u, v): float(read.values[u, v]) for u, v in circuit.mask.nonzero().tolist()}
    shown = {
        f"{edge.source}->{edge.destination}" + (f"<{edge.letter}>" if edge.letter else ""): edge.score
        for edge in drawn.edges
    }
    assert shown == pytest.approx(in_graph)
