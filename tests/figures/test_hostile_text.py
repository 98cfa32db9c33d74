"""Text of a study that is more than text, in every figure that shows it: markup, control characters, emoji, other scripts."""

import xml.etree.ElementTree
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from figures.probe_tables import ProbeTables
from figures.test_probe_figures import DRAWN
from workflow.test_safety import TEXTS

from rewire.figures.style import printable

# a group and tokens of the synthetic tables; what a tokenizer makes of a long line are no long tokens
REPLACED = ("start", "Ġother", "Ġ&<")


def with_text(path: Path, text: str) -> None:
    """``text`` in the place of a group's name and of tokens in the table."""

    def other(value: object) -> object:
        if isinstance(value, list):
            return [other(item) for item in value]
        return text if value in REPLACED else value

    table = pq.read_table(path)
    columns = [pa.array(map(other, column.to_pylist()), column.type) for column in table.columns]
    pq.write_table(pa.Table.from_arrays(columns, schema=table.schema), path)


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("kind", sorted(TEXTS))
@pytest.mark.parametrize("name", DRAWN)
def test_text_of_a_study_stays_text(name, kind, tmp_path):
    module, needed, _ = DRAWN[name]
    text = TEXTS[kind][:60]
    tables = ProbeTables(tmp_path)
    paths = [getattr(tables, table)() for table in needed]  # one may write those that it is made from
    for path in paths:
        with_text(path, text)
    module.draw(*paths, f"{text} of small", tmp_path / "x.png", tmp_path / "x.svg")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    tree = xml.etree.ElementTree.parse(tmp_path / "x.svg")
    tags = {str(node.tag).rpartition("}")[2].lower() for node in tree.iter()}
    assert not tags & {"script", "b", "foreignobject"}
    assert visible(text) in visible("".join(tree.getroot().itertext()))


def visible(text: str) -> str:
    """Without spaces, at which lines are broken, and what stands for control characters."""
    return "".join(printable(text).replace("\ufffd", "").split())
