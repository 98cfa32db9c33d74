import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch, PathPatch

from rewire.errors import InputError
from rewire.figures import circuit_evolution
from rewire.figures.circuit_evolution import BORN, KEPT, LOST, figure
from rewire.figures.circuit_file import DrawnCircuit, Edge
from rewire.figures.frames import read_frame

FIRST = [Edge("input", "a0.h0", "q", 2.0), Edge("a0.h0", "logits", "", 1.0), Edge("input", "m0", "", -0.5)]
SECOND = [Edge("input", "a0.h0", "q", 1.0), Edge("input", "a0.h0", "v", 3.0), Edge("m0", "logits", "", 1.0)]


def curves(axes):
    return [patch for patch in axes.patches if isinstance(patch, PathPatch)]


def colours(axes):
    return [to_hex(patch.get_edgecolor()) for patch in curves(axes)]


def table_of(tables, circuits, layers=1, heads=2):
    """A table of the evolution's circuits."""
    rows = [
        {"checkpoint": checkpoint, "edge": edge, "score": score, "layers": layers, "heads": heads}
        for checkpoint, edges in circuits.items()
        for edge, score in edges.items()
    ]
    types = {
        "checkpoint": "string",
        "edge": "string",
        "score": "float64",
        "layers": "int32",
        "heads": "int32",
    }
    return tables.write("edges.parquet", rows, types)


TWO = {
    "base": {"input->a0.h0<q>": 2.0, "a0.h0->logits": 1.0, "input->m0": -0.5},
    "final": {"input->a0.h0<q>": 1.0, "input->a0.h0<v>": 3.0, "m0->logits": 1.0},
}


def test_both_files_and_the_same_bytes(tables, drawn):
    path, steps = table_of(tables, TWO), {"base": 0, "final": 9}
    text = drawn(lambda png, svg: circuit_evolution.draw(path, list(TWO), steps, "small", png, svg))
    for label in ("The circuit over the checkpoints: small", "born", "a0.h1", "final (step 9)", "+2 −2"):
        assert label in text


def test_the_table_gives_the_circuits(tables):
    path = table_of(tables, TWO)
    frame = read_frame(path, circuit_evolution.EDGE_COLUMNS)
    read = circuit_evolution.circuits_of(path, frame, ["base", "between", "final"])
    assert read == {
        "base": DrawnCircuit(1, 2, FIRST),
        "between": DrawnCircuit(1, 2, []),
        "final": DrawnCircuit(1, 2, SECOND),
    }


def test_edges_are_kept_born_and_lost_since_the_panel_before():
    read = {"base": DrawnCircuit(1, 2, FIRST), "final": DrawnCircuit(1, 2, SECOND)}
    out = figure(read, {"base": 0, "final": 9}, "x")
    base, final = (axes for axes in out.axes if axes.get_title(loc="left"))
    assert base.get_title(loc="left") == "base: 3 edges" and colours(base) == [KEPT] * 3
    assert final.get_title(loc="left") == "final (step 9): 3 edges, +2 −2"
    assert colours(final) == [LOST.lower()] * 2 + [KEPT] + [BORN.lower()] * 2
    assert [patch.get_linestyle() == "solid" for patch in curves(final)] == [False] * 2 + [True] * 3
    pale = [
        patch
        for patch in final.patches
        if isinstance(patch, FancyBboxPatch) and patch.get_edgecolor()[0] > 0.5
    ]
    assert len(pale) == 1, "a0.h1 alone is in neither"


def test_only_the_strongest_are_drawn_and_all_are_counted():
    out = figure({"base": DrawnCircuit(1, 2, FIRST)}, {}, "x", most=2)
    assert out.axes[0].get_title(loc="left") == "base: 3 edges" and len(curves(out.axes[0])) == 2


def test_bad_tables_and_no_checkpoint_are_refused(tables, tmp_path):
    files = tmp_path / "a.png", tmp_path / "a.svg"
    for circuits, layers, message in (
        ({"base": {"input->a7.h0<q>": 1.0}}, 1, "edges.parquet: 'input->a7.h0<q>' is not an edge"),
        ({"base": {"input->m0": float("nan")}}, 1, "edges.parquet: the score of edge 'input->m0' is nan"),
        (TWO, 0, "edges.parquet: its circuits are not of one model"),
    ):
        with pytest.raises(InputError, match=message):
            circuit_evolution.draw(table_of(tables, circuits, layers), list(circuits), {}, "x", *files)
    with pytest.raises(InputError, match="at least one checkpoint"):
        circuit_evolution.draw(table_of(tables, TWO), [], {}, "x", *files)
    assert not any(file.exists() for file in files)


def test_circuits_without_an_edge_are_said(tables, drawn):
    path = table_of(tables, {})
    text = drawn(lambda png, svg: circuit_evolution.draw(path, ["base"], {}, "small", png, svg))
    assert "no circuit has an edge" in text
