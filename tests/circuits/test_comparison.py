import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy import stats

from rewire import statistics
from rewire.circuits import comparison
from rewire.circuits.comparison import (
    MEASURES,
    SETS,
    changes,
    jaccard,
    layer_change,
    resampled_changes,
    score_changes,
    set_changes,
    turnover_by_layer,
    turnover_counts,
)
from rewire.circuits.ensembles import Ensemble, ensemble, packed, ranks
from rewire.circuits.graph import Graph

graphs = st.builds(Graph, st.integers(1, 3), st.integers(1, 3), st.just(8), st.booleans())
seeds = st.integers(0, 10_000)


def edges_of(graph: Graph, *edges: tuple[int, int]) -> torch.Tensor:
    mask = torch.zeros_like(graph.mask)
    for u, v in edges:
        mask[u, v] = True
    return packed(mask, graph)


def random_ensemble(graph: Graph, seed: int, rows: int = 4) -> Ensemble:
    """Any sets of edges, not pruned, of different sizes; the last one empty."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, graph.n_edges, generator=generator)
    share = torch.linspace(0.8, 0, rows)[:, None]
    return Ensemble(scores, torch.rand(scores.shape, generator=generator) < share, graph)


def test_change_counts_by_hand():
    graph = Graph(1, 2, 8)  # sources input, a0.h0, a0.h1, m0; destinations q q k k v v m0 logits
    before = edges_of(graph, (0, 7), (0, 0), (1, 7))
    after = edges_of(graph, (0, 7), (0, 6), (3, 7), (3, 7))
    found = {name: float(value) for name, value in set_changes(before[None], after[None], graph).items()}
    assert found == pytest.approx(
        {
            "edge_jaccard": 1 / 5,
            "edge_turnover": 4 / 3,
            "edge_unshared": 2 / 3,
            "node_jaccard": 1 / 3,
            "node_turnover": 2 / 2,
            "node_unshared": 1 / 2,
        }
    )
    assert turnover_counts(before, after, graph) == {
        "edges_born": 2,
        "edges_lost": 2,
        "nodes_born": 1,
        "nodes_lost": 1,
    }
    rows = {(row.end, row.layer): row for row in turnover_by_layer(before, after, graph)}
    assert set(rows) == {("source", -1), ("source", 0), ("destination", 0), ("destination", 1)}
    assert rows["source", -1][2:] == (2, 2, 1, 1)  # input -> a0.h0<q> became input -> m0
    assert rows["source", 0][2:] == (1, 1, 1, 1)
    assert rows["destination", 0][2:] == (1, 1, 1, 1)
    assert rows["destination", 1][2:] == (2, 2, 1, 1)


def slow(a: set, b: set) -> tuple[float, float, float]:
    """Jaccard, turnover, unshared of two sets, by definition."""
    largest = max(len(a), len(b))
    return (
        len(a & b) / len(a | b) if a | b else 1.0,
        len(a ^ b) / len(a) if a else math.nan,
        1 - len(a & b) / largest if largest else 0.0,
    )


@settings(max_examples=40, deadline=None)
@given(graphs, seeds)
def test_measures_of_sets_are_their_definitions(graph, seed):
    before, after = random_ensemble(graph, seed), random_ensemble(graph, seed + 1)
    found = set_changes(before.edges, after.edges, graph)
    ends = graph.mask.nonzero()
    for i in range(len(before)):
        sets = [set(ends[edges].unbind()) for edges in (before.edges[i], after.edges[i])]
        edges = [{tuple(edge.tolist()) for edge in one} for one in sets]
        nodes = [{u for u, _ in one} for one in edges]
        assert [float(found[f"edge_{name}"][i]) for name in ("jaccard", "turnover", "unshared")] == (
            pytest.approx(slow(*edges), nan_ok=True)
        )
        assert [float(found[f"node_{name}"][i]) for name in ("jaccard", "turnover", "unshared")] == (
            pytest.approx(slow(*nodes), nan_ok=True)
        )


@settings(max_examples=40, deadline=None)
@given(graphs, seeds)
def test_identities(graph, seed):
    a, b = random_ensemble(graph, seed), random_ensemble(graph, seed + 1)
    same, forth, back = changes(a, a), changes(a, b), changes(b, a)
    assert set(same) == set(MEASURES)
    for name in MEASURES:
        some = same[name][:-1] if graph.n_edges > 1 else same[name][:0]  # the last circuit is empty
        nothing = 0.0 if "turnover" in name or "unshared" in name else 1.0
        if name.startswith(("edge", "weighted", "spearman")):
            kept = ~some.isnan()
            assert torch.allclose(some[kept], torch.full_like(some[kept], nothing))
        if "turnover" not in name:
            assert torch.allclose(forth[name], back[name], equal_nan=True)
            assert forth[name].nan_to_num(1.0).max() <= 1 + 1e-12
            assert forth[name].nan_to_num(0.0).min() >= (-1 - 1e-12 if name == "spearman" else 0)
    for kind in ("edge", "node"):  # of equal sizes |A xor B| / |A| is twice what is unshared
        turnover, unshared = forth[f"{kind}_turnover"], forth[f"{kind}_unshared"]
        sizes = [one.edges.sum(1) if kind == "edge" else one.nodes.sum(1) for one in (a, b)]
        equal = (sizes[0] == sizes[1]) & (sizes[0] > 0)
        assert torch.allclose(turnover[equal], 2 * unshared[equal])
        jaccards = forth[f"{kind}_jaccard"][equal]
        assert torch.allclose(jaccards, (1 - unshared[equal]) / (1 + unshared[equal]))


def scored(values):
    """Circuits of these scores [R, edges], whichever edges they have."""
    return Ensemble(values, values > 0, Graph(1, 1, 2))


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(0, 2))
def test_changes_of_scores_are_their_definitions(seed, decimals):
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(3, 12, generator=generator).round(decimals=decimals) for _ in range(2))
    found = score_changes(scored(a), scored(b))
    for i in range(3):
        low, high = np.minimum(abs(a[i]), abs(b[i])).sum(), np.maximum(abs(a[i]), abs(b[i])).sum()
        assert float(found["weighted_jaccard"][i]) == pytest.approx(float(low / high) if high else 1.0)
        expected = stats.spearmanr(a[i], b[i]).statistic
        assert float(found["spearman"][i]) == pytest.approx(expected, nan_ok=True)


@given(seeds, st.integers(0, 3), st.integers(1, 30))
def test_ranks_are_those_of_scipy_with_ties_and_without(seed, decimals, columns):
    values = np.random.default_rng(seed).normal(size=(4, columns)).round(decimals).astype(np.float32)
    assert (ranks(torch.from_numpy(values)).numpy() == stats.rankdata(values, axis=1)).all()


def test_scores_that_all_are_0_weigh_the_same_and_have_no_rank():
    found = score_changes(scored(torch.zeros(1, 4)), scored(torch.zeros(1, 4)))
    assert found["weighted_jaccard"].tolist() == [1.0] and found["spearman"].isnan().all()


@settings(max_examples=30, deadline=None)
@given(graphs, seeds)
def test_layers_add_up_to_the_whole(graph, seed):
    before, after = random_ensemble(graph, seed).edges[0], random_ensemble(graph, seed + 1).edges[0]
    rows = turnover_by_layer(before, after, graph)
    counts = turnover_counts(before, after, graph)
    for end in ("source", "destination"):
        own = [row for row in rows if row.end == end]
        assert len(own) == graph.n_layers + 1
        for name in ("edges_born", "edges_lost"):
            assert sum(getattr(row, name) for row in own) == counts[name]
        assert sum(row.edges_before for row in own) == int(before.sum())
        for row in own:
            assert row.edges_after == row.edges_before + row.edges_born - row.edges_lost


def test_resampled_changes_are_those_of_circuits_of_weighted_means(monkeypatch):
    graph = Graph(2, 2, 8)
    examples = torch.randn(6, graph.n_edges, generator=torch.Generator().manual_seed(0))
    before, after = (statistics.bootstrap_weights(6, 9, seed) for seed in (1, 2))
    together = resampled_changes(examples, before, after, graph, 12)
    for i in range(9):
        means = [torch.from_numpy(w[i : i + 1]).float() @ examples for w in (before, after)]
        expected = changes(*(ensemble(mean, graph, 12) for mean in means))
        assert {name: float(value) for name, value in expected.items()} == pytest.approx(
            {name: values[i] for name, values in together.items()}, abs=1e-6
        )
    monkeypatch.setattr(comparison, "BLOCK", 2 * graph.mask.numel())
    apart = resampled_changes(examples, before, after, graph, 12)
    assert all(np.allclose(apart[name], together[name], atol=1e-6) for name in MEASURES)


def test_a_circuit_against_itself_does_not_change():
    graph = Graph(2, 2, 8)
    whole = torch.ones(1, graph.n_edges, dtype=torch.bool)
    found = set_changes(whole, whole, graph)
    assert [float(found[name]) for name in SETS] == [1, 0, 0, 1, 0, 0]


def test_jaccard_of_two_empty_circuits_is_one():
    nothing = torch.zeros(3, dtype=torch.bool)
    assert jaccard(nothing, nothing) == 1 and jaccard(nothing, ~nothing) == 0


def test_layer_change_sums_over_the_edges_that_a_layer_writes():
    graph = Graph(2, 2, 8)
    before, after = torch.zeros(graph.mask.shape), torch.zeros(graph.mask.shape)
    m0, m1, logits = 3, 6, graph.n_destinations - 1
    after[m0, logits], after[m1, logits], after[0, logits] = -2.0, 3.0, 9.0  # the embedding is no layer
    raw, normalised = layer_change(before, after, graph)
    edges = graph.mask.sum(1)
    assert raw.tolist() == [2.0, 3.0]
    assert normalised.tolist() == [2.0 / int(edges[1:4].sum()), 3.0 / int(edges[4:7].sum())]
