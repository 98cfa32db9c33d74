"""The pair table end to end, with a tiny model folder."""

import logging
import shutil
from pathlib import Path

import pytest
from tiny_models import articles_table, newswire_rows

from rewire.corruption import CORRUPTIONS
from rewire.errors import InputError
from rewire.pair_table import write_pairs
from rewire.pairs import read_pairs
from rewire.pretrained import load_tokenizer
from rewire.tables import read_table

SETTINGS = {
    "examples": 6,
    "salience": {"measures": ["rouge1", "rougeL"], "by": "top", "value": 1},
    "noise_share": 0.3,
    "seed": 0,
}


@pytest.fixture(scope="module")
def articles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return articles_table(tmp_path_factory.mktemp("articles") / "validation.parquet", newswire_rows(20))


@pytest.fixture(scope="module")
def tables(articles: Path, tiny_model_folder: Path) -> dict[str, list[dict]]:
    """The rows of every mode's table."""
    rows = {}
    for mode in CORRUPTIONS:
        path = articles.with_name(f"{mode}.parquet")
        write_pairs(articles, tiny_model_folder, mode, SETTINGS, path)
        rows[mode] = read_table(path).to_pylist()
    return rows


def masked(row: dict) -> set[int]:
    return {i for start, end in row["masked_spans"] for i in range(start, end)}


def test_every_mode_has_the_same_articles(tables: dict[str, list[dict]]) -> None:
    ids = [row["id"] for row in tables["mask"]]
    assert len(ids) == SETTINGS["examples"]
    for rows in tables.values():
        assert [row["id"] for row in rows] == ids
        for same in ("clean", "target_start", "sentence_spans", "sentence_scores"):
            assert [row[same] for row in rows] == [row[same] for row in tables["mask"]]


def test_pairs_differ_inside_the_spans_and_nowhere_else(tables: dict[str, list[dict]]) -> None:
    for rows in tables.values():
        for row in rows:
            assert len(row["clean"]) == len(row["corrupted"])
            differs = {
                i for i, (a, b) in enumerate(zip(row["clean"], row["corrupted"], strict=True)) if a != b
            }
            assert differs
            assert differs <= masked(row)
            assert max(masked(row)) < row["target_start"]


def test_rows_are_prompts_of_the_articles(
    tables: dict[str, list[dict]], articles: Path, tiny_model_folder: Path
) -> None:
    tokenizer = load_tokenizer(tiny_model_folder)
    source = {row["id"]: row for row in read_table(articles).to_pylist()}
    for row in tables["mask"]:
        given = source[row["id"]]
        expected = f"{given['article']}\nTL;DR: {given['summary'].strip()}{tokenizer.eos_token}"
        assert tokenizer.decode(row["clean"]) == expected
        assert tokenizer.decode(row["clean"][: row["target_start"]]).endswith("\nTL;DR:")


def test_the_best_sentence_is_masked(tables: dict[str, list[dict]], tiny_model_folder: Path) -> None:
    eos = load_tokenizer(tiny_model_folder).eos_token_id  # the tokenizer has no mask token
    for row, control in zip(tables["mask"], tables["random"], strict=True):
        best = row["sentence_scores"].index(max(row["sentence_scores"]))
        assert row["masked_spans"] == [row["sentence_spans"][best]]
        assert all(row["corrupted"][i] == eos for i in masked(row))
        assert len(masked(control)) == len(masked(row))
        assert not masked(control) & masked(row)


def test_same_settings_same_bytes_and_another_seed_others(
    articles: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    files = [tmp_path / f"{n}.parquet" for n in range(3)]
    for path, seed in zip(files, (0, 0, 1), strict=True):
        write_pairs(articles, tiny_model_folder, "noise", SETTINGS | {"seed": seed}, path)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()


def test_an_example_does_not_depend_on_how_many_there_are(
    tables: dict[str, list[dict]], articles: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "few.parquet"
    write_pairs(articles, tiny_model_folder, "random", SETTINGS | {"examples": 2}, path)
    assert read_table(path).to_pylist() == tables["random"][:2]


def test_it_reads_back_as_tensors(articles: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mask.parquet"
    write_pairs(articles, tiny_model_folder, "mask", SETTINGS, path)
    ids, pairs = read_pairs(path)
    assert len(ids) == len(pairs) == SETTINGS["examples"]
    assert all(token == 0 for token in pairs.clean[torch_last(pairs)].tolist())  # eos is token 0


def torch_last(pairs) -> tuple:
    """Index of each example's last token."""
    return tuple(zip(*[(i, int(length) - 1) for i, length in enumerate(pairs.lengths)], strict=True))


def test_articles_that_are_mostly_salient_are_passed_over_and_counted(
    tmp_path: Path, tiny_model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = newswire_rows(3)
    rows[1] |= {"article": "Only one sentence about Selby."}
    path = tmp_path / "mask.parquet"
    with caplog.at_level(logging.INFO):
        write_pairs(articles_table(tmp_path / "a.parquet", rows), tiny_model_folder, "mask", SETTINGS, path)
    written = [row["id"] for row in read_table(path).to_pylist()]
    assert rows[1]["id"] not in written
    assert f"{len(written)} pairs, {3 - len(written)} articles passed over" in caplog.text


def test_no_usable_article_is_an_error_and_nothing_is_written(
    tmp_path: Path, tiny_model_folder: Path
) -> None:
    table = articles_table(
        tmp_path / "a.parquet", [{"id": "x", "article": "One sentence.", "summary": "One sentence."}]
    )
    with pytest.raises(InputError, match=r"a\.parquet"):
        write_pairs(table, tiny_model_folder, "mask", SETTINGS, tmp_path / "mask.parquet")
    assert not (tmp_path / "mask.parquet").exists()


def test_resample_never_takes_the_article_itself(tmp_path: Path, tiny_model_folder: Path) -> None:
    rows = [
        {"id": "x", "article": "Storm in Selby. It rained and rained all week.", "summary": "Storm in Selby"}
    ]
    table = articles_table(tmp_path / "a.parquet", rows)
    with pytest.raises(InputError, match=r"a\.parquet.*another article"):
        write_pairs(table, tiny_model_folder, "resample", SETTINGS, tmp_path / "resample.parquet")


def test_an_unknown_mode_and_a_long_summary_are_named(tmp_path: Path, tiny_model_folder: Path) -> None:
    rows = newswire_rows(2)
    with pytest.raises(InputError, match="'swap'"):
        table = articles_table(tmp_path / "a.parquet", newswire_rows(20))
        write_pairs(table, tiny_model_folder, "swap", SETTINGS, tmp_path / "swap.parquet")
    table = articles_table(tmp_path / "b.parquet", [rows[0], rows[1] | {"summary": "Selby " * 200}])
    with pytest.raises(InputError, match=rows[1]["id"]):
        write_pairs(table, tiny_model_folder, "mask", SETTINGS, tmp_path / "mask.parquet")
    assert not list(tmp_path.glob("*mask*"))


def test_a_folder_without_a_model_is_named(tmp_path: Path, tiny_model_folder: Path) -> None:
    folder = tmp_path / "tokenizer-only"
    folder.mkdir()
    for file in tiny_model_folder.glob("tokenizer*"):
        shutil.copy(file, folder)
    table = articles_table(tmp_path / "a.parquet", newswire_rows(3))
    with pytest.raises(InputError, match="tokenizer-only"):
        write_pairs(table, folder, "mask", SETTINGS, tmp_path / "mask.parquet")
