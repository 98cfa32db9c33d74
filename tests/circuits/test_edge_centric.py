"""The test of the edge-centric hypothesis where the answer is known: false positives, power, other nodes."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from circuits.rewired_models import base_model, example_scores, rewired_model
from circuits.score_worlds import GRAPH, SIZE, effects, examples, replaced, rewired
from scipy import stats

from rewire.circuits import edge_centric
from rewire.circuits.edge_centric import Pair, enough, judge
from rewire.circuits.ensembles import ensemble
from rewire.circuits.graph import Graph
from rewire.circuits.noise_floor import same_model
from rewire.errors import InputError

ALPHA = 0.05


def most(trials: int, rate: float = ALPHA) -> int:
    """More successes have probability below 0.001 at ``rate``."""
    return int(stats.binom.ppf(0.999, trials, rate))


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> dict[str, torch.Tensor]:
    """Scores of a real small model, of the same with other wires, and with other heads."""
    models = {"base": base_model(0), "rewired": rewired_model(0), "replaced": base_model(0, swapped=True)}
    found = {name: example_scores(m, tmp_path_factory.mktemp(name)) for name, m in models.items()}
    assert {graph for _, graph in found.values()} == {Graph(3, 8, 64)}
    return {name: scores for name, (scores, _) in found.items()}


def test_a_model_and_itself_on_other_data_is_rejected_at_no_more_than_alpha() -> None:
    """Disjoint data: 150 pairs. The permutation part of the test alone keeps alpha, and so does the whole."""
    true = effects(0)
    by_swaps = whole = 0
    for trial in range(150):
        sides = examples(true, 24, 2 * trial), examples(true, 24, 2 * trial + 1)
        pair = Pair(*sides, GRAPH, SIZE, enough(ALPHA), trial)
        rejected = pair.p_noise() <= ALPHA
        by_swaps += rejected
        whole += rejected and edge_centric.rejects(pair, ALPHA)
    assert by_swaps <= most(150) and whole <= most(150)
    assert by_swaps > 0, "the bound would hold for a test that never rejects"


def test_a_real_model_and_itself_on_resampled_data_is_rejected_at_no_more_than_alpha(real) -> None:
    for scores in real.values():
        found = edge_centric.false_positives(scores, GRAPH, SIZE, 40, ALPHA)
        assert found.n == 40 and found.value <= most(40) / 40 and found.low <= ALPHA


def test_edges_rewired_on_purpose_are_found() -> None:
    found = other = 0
    for seed in range(10):
        sides = (
            examples(effects(seed), 32, 2 * seed),
            examples(rewired(effects(seed), seed), 32, 2 * seed + 1),
        )
        result = judge(*sides, GRAPH, SIZE, ALPHA, 199, seed)
        found += result.verdict == "supported"
        other += result.verdict == "not supported"
    assert found >= 8 and other <= 1


def test_nodes_replaced_on_purpose_are_not_supported() -> None:
    verdicts = []
    for seed in range(10):
        sides = (
            examples(effects(seed), 32, 2 * seed),
            examples(replaced(effects(seed), seed), 32, 2 * seed + 1),
        )
        verdicts.append(judge(*sides, GRAPH, SIZE, ALPHA, 199, seed).verdict)
    assert verdicts.count("not supported") >= 9 and "supported" not in verdicts


def test_a_real_model_with_other_wires_is_found_and_with_other_heads_it_is_not(real) -> None:
    rewired_result, replaced_result = (
        judge(real["base"], real[name], GRAPH, SIZE, ALPHA, 400) for name in ("rewired", "replaced")
    )
    assert rewired_result.verdict == "supported" and rewired_result.low > 0
    assert rewired_result.node_change < 0.2 < 0.5 < rewired_result.edge_change
    assert replaced_result.verdict == "not supported" and replaced_result.high < 0
    assert replaced_result.node_change > 0.7


def test_power_is_of_one_model_and_falls_with_the_noise_of_its_examples() -> None:
    true = effects(0)
    quiet = examples(true, 32, 0)
    found = edge_centric.power(quiet, GRAPH, SIZE, 20, ALPHA)
    assert found.n == 20 and found.value >= 0.7 and found.low <= found.value <= found.high
    assert found == edge_centric.power(quiet, GRAPH, SIZE, 20, ALPHA)
    noisy = true + 6 * (quiet - true)
    assert edge_centric.power(noisy, GRAPH, SIZE, 20, ALPHA).value < found.low


def test_a_model_and_itself_on_the_same_data_does_not_change() -> None:
    scores = examples(effects(0), 20, 0)
    result = judge(scores, scores, GRAPH, SIZE, resamples=200)
    assert result.edge_change == result.node_change == 0 and result.p_noise == result.p == 1
    assert result.verdict == "inconclusive" and result.edge_floor > 0 < result.node_floor


def change_of(before: torch.Tensor, after: torch.Tensor, graph: Graph, size: int) -> tuple[float, float]:
    """1 - Jaccard of edges and of nodes of two circuits, by definition."""
    (a, b), out = [ensemble(scores.mean(dim=0)[None], graph, size) for scores in (before, after)], []
    for one, other in ((a.edges, b.edges), (a.nodes, b.nodes)):
        out.append(1 - float((one & other).sum()) / float((one | other).sum()))
    return out[0], out[1]


def test_the_permutation_part_swaps_every_subset_of_examples() -> None:
    graph, size, n = Graph(2, 3, 8), 12, 6
    true = torch.randn(graph.n_edges, generator=torch.Generator().manual_seed(0))
    before, after = (examples(true, n, seed) for seed in (1, 2))
    pair = Pair(before, after, graph, size, 100, 0)
    slope = float(pair.replaced.node[0] / pair.replaced.edge[0])
    balances = []
    for swap in itertools.product((False, True), repeat=n):
        chosen = torch.tensor(swap)[:, None]
        edge, node = change_of(
            torch.where(chosen, after, before), torch.where(chosen, before, after), graph, size
        )
        balances.append(slope * edge - node)
    assert pair.p_noise() == pytest.approx(np.mean(np.array(balances) >= balances[0] - 1e-9))
    edge, node = change_of(before, after, graph, size)
    floors = [float(pair.balance(floor).mean()) for floor in pair.floors]
    assert pair.statistic == pytest.approx(slope * edge - node - np.mean(floors))


def test_p_is_the_largest_of_its_parts_and_the_direction_does_not_matter() -> None:
    before, after = examples(effects(1), 16, 0), examples(rewired(effects(1), 0), 16, 1)
    forth, back = (judge(*sides, GRAPH, SIZE, resamples=200) for sides in ((before, after), (after, before)))
    assert forth.p == max(forth.p_noise, forth.p_edge, forth.p_sampling)
    floors = [edge_centric.changed(same_model(one, GRAPH, SIZE, 200, 0)) for one in (before, after)]
    assert forth == judge(before, after, GRAPH, SIZE, resamples=200, floors=floors)
    for name in ("edge_change", "node_change", "edge_floor", "node_floor", "edge_replaced", "statistic"):
        assert getattr(forth, name) == pytest.approx(getattr(back, name), abs=1e-6), name
    assert forth.low < forth.statistic < forth.high
    for name in ("p", "p_noise", "p_edge", "p_sampling", "p_node"):
        assert 0 < getattr(forth, name) <= 1


def test_few_examples_are_inconclusive() -> None:
    before, after = effects(0), rewired(effects(0), 0)
    four = judge(examples(before, 4, 0), examples(after, 4, 1), GRAPH, SIZE, resamples=100)
    assert four.verdict == "inconclusive" and four.examples == 4 and 0 < four.edge_change < 1
    assert all(math.isnan(getattr(four, name)) for name in ("statistic", "low", "high", "p", "p_node"))
    five = judge(examples(before, 5, 0), examples(after, 5, 1), GRAPH, SIZE, resamples=100)
    assert five.p_noise >= 2 / 2**5 > ALPHA and five.verdict == "inconclusive"


def test_verdicts_follow_from_p_values_and_interval() -> None:
    scores = examples(effects(0), 6, 0)
    result = judge(scores, scores, GRAPH, SIZE, resamples=100)
    against, across = (-0.2, -0.01), (-0.071, 0.177)
    cases = {
        (0.05, 0.01, 0.9, (0.01, 0.2)): "supported",
        (0.06, 0.01, 0.04, against): "not supported",
        (0.06, 0.01, 0.04, (-0.2, 0.0)): "not supported",
        (0.43, 0.01, 0.04, across): "inconclusive",  # no evidence for is none against
        (0.06, 0.01, 0.04, (0.01, 0.2)): "inconclusive",
        (0.06, 0.06, 0.04, against): "inconclusive",
        (0.06, 0.01, 0.06, against): "inconclusive",
    }
    for (p, p_edge, p_node, (low, high)), verdict in cases.items():
        found = dataclasses.replace(result, p=p, p_edge=p_edge, p_node=p_node, low=low, high=high)
        assert found.verdict == verdict, (p, low, high)


def test_what_the_examples_leave_open_is_not_refuted() -> None:
    """Nodes replaced and edges rewired, a part each: beyond both noise floors, but on either side of 0."""
    left_open = 0
    for seed in range(6):
        true = effects(seed)
        mixed = torch.where(torch.arange(len(true)) % 4 == 0, rewired(true, seed), replaced(true, seed))
        sides = examples(true, 32, 2 * seed), examples(mixed, 32, 2 * seed + 1)
        found = judge(*sides, GRAPH, SIZE, ALPHA, 199, seed)
        if max(found.p_edge, found.p_node) <= ALPHA and found.low < 0 < found.high:
            left_open += 1
            assert found.verdict == "inconclusive"
    assert left_open >= 3


def test_where_no_head_can_take_anothers_place_nothing_is_implied() -> None:
    graph = Graph(3, 1, 8)
    true = torch.randn(graph.n_edges, generator=torch.Generator().manual_seed(0))
    result = judge(examples(true, 8, 0), examples(-true.flip(0), 8, 1), graph, 8, resamples=100)
    assert result.edge_replaced == result.node_replaced == 0 and result.verdict == "inconclusive"


def test_different_examples_are_refused() -> None:
    true = effects(0)
    with pytest.raises(InputError, match=r"\[4, 802\] and \[5, 802\]"):
        judge(examples(true, 4, 0), examples(true, 5, 0), GRAPH, SIZE)
