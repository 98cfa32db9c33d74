import json
from xml.etree import ElementTree

import pytest
from matplotlib.patches import PathPatch

from rewire.errors import InputError
from rewire.figures import circuit
from rewire.figures.circuit_file import Edge, read_circuit
from rewire.figures.circuit_layout import layout, route
from rewire.figures.style import BLUE, ORANGE


def arcs(figure):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]


def test_both_files_and_the_same_bytes(tables, drawn):
    path = tables.circuit()
    text = drawn(lambda png, svg: circuit.draw(path, "<b>& small", png, svg))
    ElementTree.fromstring(text)
    assert "Circuit, 80 edges: &lt;b&gt;&amp; small" in text
    for node in ("input", "a3.h3", "m0", "logits", "layer 3"):
        assert f">{node}<" in text


def test_the_strongest_edges_are_drawn_strongest_on_top(tables):
    read = read_circuit(tables.circuit(kept=80))
    out = circuit.figure(read, "small", most=50)
    assert out.get_suptitle() == "Circuit, 50 of 80 edges: small"
    drawn = arcs(out)
    strongest = sorted((abs(edge.score) for edge in read.edges), reverse=True)[:50]
    widths = [patch.get_linewidth() for patch in drawn]
    assert len(drawn) == 50 and widths == sorted(widths) and widths[-1] == 4.0
    assert widths[0] == pytest.approx(circuit.width(strongest[-1] / strongest[0]))


def test_sign_is_colour_and_letter_is_line_style_and_port():
    edges = [
        Edge("input", "a0.h0", "q", 2.0),
        Edge("a0.h0", "a1.h0", "v", -1.0),
        Edge("m1", "logits", "", 0.5),
    ]
    small = circuit.DrawnCircuit(2, 1, edges)
    from matplotlib.colors import to_hex

    out = circuit.figure(small, "x")
    assert [to_hex(patch.get_edgecolor()) for patch in arcs(out)] == [
        BLUE.lower(),
        ORANGE.lower(),
        BLUE.lower(),
    ]
    assert [patch.get_linestyle() for patch in arcs(out)][0] == "solid" != arcs(out)[1].get_linestyle()
    letters = [text.get_text() for text in out.axes[0].texts if len(text.get_text()) == 1]
    assert sorted(letters) == ["q", "v"]
    places = layout(small)
    assert route(edges[0], places)[-1][0] < places["a0.h0"][0] < route(edges[1], places)[-1][0]
    heights = [places[node][1] for node in ("input", "a0.h0", "m0", "a1.h0", "m1", "logits")]
    assert heights == sorted(heights)


def test_only_edges_in_the_graph_and_none_is_fine(tables):
    out = circuit.figure(read_circuit(tables.circuit(kept=0)), "x")
    assert out.get_suptitle() == "Circuit, 0 edges: x" and not arcs(out)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ({"a9.h0->logits": {"score": 1.0, "in_graph": True}}, "'a9.h0->logits' is not an edge"),
        ({"m0->a1.h0<x>": {"score": 1.0, "in_graph": True}}, "is not an edge"),
        ({"m0->logits": {"score": float("nan"), "in_graph": True}}, "the score of edge 'm0->logits' is nan"),
        ({"m0->logits": {"score": 1.0}}, "not a circuit file"),
        ([], "not a circuit file"),
    ],
)
def test_bad_files_are_named(tmp_path, edges, message):
    path = tmp_path / "circuit.json"
    path.write_text(json.dumps({"cfg": {"n_layers": 2, "n_heads": 1}, "edges": edges}))
    with pytest.raises(InputError, match=message) as caught:
        circuit.draw(path, "x", tmp_path / "c.png", tmp_path / "c.svg")
    assert str(path) in str(caught.value)


def test_no_json_is_named(tmp_path):
    (tmp_path / "circuit.json").write_text("{")
    with pytest.raises(InputError, match="circuit.json: not a JSON file"):
        read_circuit(tmp_path / "circuit.json")
