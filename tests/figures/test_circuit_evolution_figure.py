import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch, PathPatch

from rewire.errors import InputError
from rewire.figures import circuit_evolution
from rewire.figures.circuit_evolution import BORN, KEPT, LOST, figure
from rewire.figures.circuit_file import DrawnCircuit, Edge

FIRST = [Edge("input", "a0.h0", "q", 2.0), Edge("a0.h0", "logits", "", 1.0), Edge("input", "m0", "", -0.5)]
SECOND = [Edge("input", "a0.h0", "q", 1.0), Edge("input", "a0.h0", "v", 3.0), Edge("m0", "logits", "", 1.0)]


def curves(axes):
    return [patch for patch in axes.patches if isinstance(patch, PathPatch)]


def colours(axes):
    return [to_hex(patch.get_edgecolor()) for patch in curves(axes)]


def test_both_files_and_the_same_bytes(tables, drawn):
    paths = {name: tables.circuit(kept=kept) for name, kept in (("base", 40), ("final", 60))}
    text = drawn(lambda png, svg: circuit_evolution.draw(paths, {"base": 0, "final": 9}, "small", png, svg))
    for label in ("The circuit over the checkpoints: small", "born", "a3.h3", "final (step 9)"):
        assert label in text


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


def test_circuits_of_two_models_and_no_circuit_are_refused(tables, tmp_path):
    paths = {"base": tables.circuit(), "final": tables.circuit(n_layers=3)}
    files = tmp_path / "a.png", tmp_path / "a.svg"
    with pytest.raises(
        InputError, match="circuit-3x4.json: 3 layers of 4 heads, the first circuit has 4 of 4"
    ):
        circuit_evolution.draw(paths, {}, "x", *files)
    with pytest.raises(InputError, match="at least one checkpoint"):
        circuit_evolution.draw({}, {}, "x", *files)
