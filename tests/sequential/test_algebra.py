import pytest
import torch
from circuits.random_scores import GRAPHS, random_circuit, random_scores
from hypothesis import given
from hypothesis import strategies as st
from sequential.task_bases import ROWS, paths_in, word_base
from tiny_models import tiny_model

from rewire.checkpoints.save import save_checkpoint
from rewire.circuits.scores_file import read_scores, write_scores
from rewire.circuits.selection import Circuit, Scores, prune, top_n, whole
from rewire.errors import InputError
from rewire.models import load
from rewire.pretrained import load_tokenizer
from rewire.sequential import algebra, curves
from rewire.sequential.measures import find_circuit, read_task
from rewire.sequential.tasks.declared import COMPOSITES, TASKS
from rewire.sequential.tasks.table import write_task
from rewire.tables import read_table

NUMBERS = {"largest": 9, "negative": True}
SETTINGS = {
    "circuits": {"method": "EAP", "steps": 1, "grid": "left", "metric": "nll", "batch_tokens": 512},
    "fraction": 0.3,
    "examples": 8,
    "random": 5,
    "seed": 0,
}
graphs = st.sampled_from(GRAPHS)


def of_edges(names, graph):
    """The circuit of these edges, by their place among all that exist, as it is."""
    mask = torch.zeros_like(graph.mask)
    mask[tuple(graph.mask.nonzero()[list(names)].T)] = True
    return Circuit(mask, graph, len(names))


@given(graphs, st.integers(0, 50), st.integers(0, 50))
def test_circuits_are_combined_as_sets_of_edges(graph, one, two):
    a, b = (random_circuit(random_scores(graph, "edge", seed)) for seed in (one, two))
    either, both, first = (f(a, b) for f in (algebra.union, algebra.intersection, algebra.difference))
    assert torch.equal(either.mask, a.mask | b.mask) and torch.equal(either.mask, prune(either.mask, graph))
    assert torch.equal(both.mask, prune(a.mask & b.mask, graph)) and both.requested == int(
        (a.mask & b.mask).sum()
    )
    assert torch.equal(first.mask, prune(a.mask & ~b.mask, graph))
    assert torch.equal(algebra.union(b, a).mask, either.mask)
    assert torch.equal(algebra.union(a, a).mask, a.mask) and algebra.difference(a, a).n_edges == 0
    assert torch.equal(algebra.difference(whole(graph), a).mask, prune(graph.mask & ~a.mask, graph))


def test_edges_that_lead_nowhere_alone_are_pruned():
    graph = GRAPHS[0]
    paths = [graph.mask.nonzero().tolist().index(list(edge)) for edge in ((0, graph.n_destinations - 1),)]
    a, b = of_edges(paths, graph), whole(graph)
    assert algebra.intersection(a, b).n_edges == 1 and algebra.difference(a, b).n_edges == 0


def test_circuits_of_two_graphs_are_refused():
    a, b = (whole(graph) for graph in GRAPHS[:2])
    with pytest.raises(InputError, match="circuits of two graphs"):
        algebra.union(a, b)


@given(graphs, st.integers(0, 30), st.integers(0, 40))
def test_circuits_of_one_size_are_the_largest_that_fit(graph, seed, size):
    scores = [random_scores(graph, "edge", seed + i) for i in range(2)]

    def either(k):
        return algebra.union(*(top_n(own, k) for own in scores))

    found = algebra.largest_within(size, graph.n_edges, either)
    sizes = [either(k).n_edges for k in range(graph.n_edges + 1)]
    assert found.n_edges == max(n for n in sizes if n <= size)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A random model with a word-level tokenizer, tables of add, sub and add_sub, and scores of another model."""
    folder = tmp_path_factory.mktemp("algebra")
    names = ("add_sub", "add", "sub")
    tokenizer = load_tokenizer(word_base(folder / "words", names, NUMBERS))
    for seed, name in enumerate(("model", "other")):
        save_checkpoint(folder / name, tiny_model(tokenizer, seed), tokenizer)
    tables, alone = {}, {}
    for name in names:
        paths = paths_in(folder / name)
        write_task(name, folder / "model", ROWS, 0, paths, NUMBERS)
        tables[name] = paths["validation"], paths["test"]
        alone[name] = folder / f"{name}.safetensors"
        find_circuit(load(folder / "other"), read_task(*tables[name]), SETTINGS, alone[name])
    return folder, tables, alone


def written(world, folder, **changes):
    base, tables, alone = world
    outputs = {"table": folder / "algebra.parquet", "circuits": folder / "circuits"}
    made = algebra.Composite("add_sub", COMPOSITES["add_sub"], base / "model", tables, {**alone, **changes})
    algebra.write_algebra([made], SETTINGS, outputs)
    table = read_table(outputs["table"]).to_pandas().set_index("circuit")
    return {name: table[table["parts_found"] == name] for name in algebra.FOUND}


def test_composites_and_their_parts_are_tasks():
    for composite, parts in COMPOSITES.items():
        assert {composite, *parts} <= set(TASKS)


def test_sizes_and_overlaps(world, tmp_path):
    tables = written(world, tmp_path)
    files = {
        "together": {n: tmp_path / "circuits" / "add_sub" / f"{n}.safetensors" for n in world[2]},
        "alone": world[2],
    }
    own = read_scores(files["together"]["add_sub"])[1]
    for name, table in tables.items():
        add, sub = (read_scores(files[name][part])[1] for part in ("add", "sub"))
        assert table.loc["union", "edges"] == int((add.mask | sub.mask).sum())
        assert table.loc["own", "edges"] == own.n_edges
        assert table.loc["own", ["edge_jaccard", "node_jaccard"]].tolist() == [1, 1]
        assert table.loc["own-as-union", "edges"] <= table.loc["union", "edges"]
        assert table.loc["union-as-own", "edges"] <= table.loc["own", "edges"] < table.loc["union", "edges"]
        assert table.loc["first", "shared_edges"] == int((add.mask & own.mask).sum())
        assert table.loc["first-only", "requested_edges"] == int((add.mask & ~sub.mask).sum())
    assert tables["together"].loc["first", "nll"].tolist() != tables["alone"].loc["first", "nll"].tolist()


def test_leads_are_differences_of_faithfulness(world, tmp_path):
    for table in written(world, tmp_path).values():
        own = table.loc["own", "normalised"]
        assert table["lead"].to_numpy() == pytest.approx((table["normalised"] - own).to_numpy(), abs=1e-9)
        assert set(table.loc["own", ["lead_low", "lead_high"]]) == {0} or table["lead_low"].isna().all()
        assert (table["random_circuits"] == 5).all() and (table["examples"] == ROWS["test"]).all()


def test_the_whole_model_is_as_good_as_any_union_can_be(world, tmp_path):
    """With every edge in both parts the union is the whole graph: f = 1, and nothing is left of the differences."""
    graph = read_scores(world[2]["add"])[0].graph
    every = tmp_path / "every.safetensors"
    write_scores(Scores(graph.mask.float(), graph, "EAP", "nll"), whole(graph), every)
    table = written(world, tmp_path, add=every, sub=every)["alone"]
    for name in ("first", "second", "union", "intersection"):
        assert table.loc[name, "nll_excess"] == pytest.approx(0, abs=1e-5)
    assert table.loc["first-only", "normalised"] == pytest.approx(0, abs=1e-2)
    assert table.loc["first-only", "edges"] == 0


def test_a_circuit_of_another_graph_is_named_and_nothing_is_left(world, tmp_path):
    other, graph = tmp_path / "other.safetensors", GRAPHS[1]
    write_scores(Scores(graph.mask.float(), graph, "EAP", "nll"), whole(graph), other)
    with pytest.raises(InputError, match="other.safetensors: a circuit of another graph"):
        written(world, tmp_path, sub=other)
    assert list(tmp_path.iterdir()) == [other]


def test_a_curve_grows_to_the_whole_graph(world, tmp_path):
    folder, tables, alone = world
    settings = SETTINGS | {"fractions": [1.0, 0.1, 0.5]}
    curves.write_curve(
        "add", folder / "other", alone["add"], tables["add"][1], settings, tmp_path / "c.parquet"
    )
    table = read_table(tmp_path / "c.parquet").to_pandas()
    assert table["fraction"].tolist() == [0.1, 0.5, 1.0] and (table["edges"].diff()[1:] > 0).all()
    # a random model hardly minds the corruption: f divides by little
    assert table["nll_excess"].iloc[-1] == pytest.approx(0, abs=1e-5)
    assert table["normalised"].iloc[-1] == pytest.approx(1, abs=1e-2)
    graph, other = GRAPHS[1], tmp_path / "other.safetensors"
    write_scores(Scores(graph.mask.float(), graph, "EAP", "nll"), whole(graph), other)
    with pytest.raises(InputError, match="other.safetensors: a circuit of another graph"):
        curves.write_curve("add", folder / "other", other, tables["add"][1], settings, tmp_path / "d.parquet")


def test_scores_without_a_circuit_are_named(world, tmp_path):
    alone = tmp_path / "scores.safetensors"
    write_scores(read_scores(world[2]["add"])[0], None, alone)
    with pytest.raises(InputError, match="scores.safetensors: scores without a circuit"):
        written(world, tmp_path, add=alone)
