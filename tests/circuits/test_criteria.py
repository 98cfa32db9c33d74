import numpy as np
import pytest
import torch

from rewire.circuits import attribution, criteria, evaluation, selection
from rewire.circuits.controls import without_nodes
from rewire.errors import InputError

MIB = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]


@pytest.fixture(scope="module")
def circuit(case):
    return selection.top_n(attribution.attribute(case.model, case.pairs), 25)


def test_areas_of_known_curves():
    assert criteria.cpr(MIB, np.ones(10)) == pytest.approx(0.999)
    assert criteria.cmd(MIB, np.ones(10)) == 0
    assert criteria.cpr(MIB, MIB) == pytest.approx((1 - 0.001**2) / 2)
    assert criteria.cmd([0, 0.5, 1], [0, 2, 1]) == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    both = np.stack([np.zeros(10), np.full(10, 3.0)])
    assert criteria.cpr(MIB, both) == pytest.approx([0, 3 * 0.999])  # unbounded above
    assert criteria.cmd(MIB, both) == pytest.approx([0.999, 2 * 0.999])


@pytest.mark.parametrize("fractions", [[0.1], [0.1, 0.1], [0.5, 0.1], [0.1, 0.2, 0.3]])
def test_an_area_needs_rising_fractions(fractions):
    with pytest.raises(InputError, match="rising fractions"):
        criteria.cpr(fractions, np.ones(2))


def test_the_whole_model_is_complete(case, circuit):
    generator = torch.Generator().manual_seed(0)
    everything = selection.whole(case.model.graph)
    knocked_out = criteria.random_knockouts(everything, 6, generator)
    assert not knocked_out[:, 0].any() and knocked_out.any(dim=1).all()
    found = criteria.completeness(case.model, everything, case.pairs, knocked_out)
    assert float(found.gaps.max()) == 0
    of_circuit = criteria.completeness(case.model, circuit, case.pairs, knocked_out & circuit.nodes)
    assert float(of_circuit.gaps.max()) > 0 and of_circuit.circuit.shape == (6, len(case.pairs))


def test_completeness_is_the_gap_of_two_evaluations(case, circuit):
    nodes = criteria.random_knockouts(circuit, 1, torch.Generator().manual_seed(1))
    pair = [without_nodes(c, nodes[0]) for c in (selection.whole(case.model.graph), circuit)]
    values = evaluation.evaluate(case.model, pair, case.pairs)["nll"].mean(dim=1)
    gap = criteria.completeness(case.model, circuit, case.pairs, nodes).gaps
    assert float(gap) == pytest.approx(float((values[0] - values[1]).abs()), abs=1e-6)


def test_greedy_knockouts_start_with_the_worst_node_and_never_end_below_it(case, circuit):
    candidates = criteria.removable(circuit).nonzero().flatten()
    alone = torch.zeros(len(candidates), case.model.graph.n_sources, dtype=torch.bool)
    alone[torch.arange(len(candidates)), candidates] = True
    gaps = criteria.completeness(case.model, circuit, case.pairs, alone).gaps
    one = criteria.greedy_knockout(case.model, circuit, case.pairs, 1)
    assert torch.equal(one, alone[int(gaps.argmax())])
    three = criteria.greedy_knockout(case.model, circuit, case.pairs, 3)
    assert 1 <= int(three.sum()) <= 3
    assert float(criteria.completeness(case.model, circuit, case.pairs, three[None]).gaps) >= float(
        gaps.max()
    )
    everything = criteria.greedy_knockout(case.model, circuit, case.pairs, 1000)
    assert not (everything & ~criteria.removable(circuit)).any()


def test_minimality_is_the_effect_of_each_edge(case, circuit):
    effects = criteria.minimality(case.model, circuit, case.pairs)
    assert effects.shape == (circuit.n_edges, len(case.pairs))
    edges = circuit.mask.flatten().nonzero().flatten()
    some = criteria.minimality(case.model, circuit, case.pairs, edges[[3, 0]])
    torch.testing.assert_close(some, effects[[3, 0]], rtol=1e-4, atol=1e-6)
    mask = circuit.mask.clone()
    mask.view(-1)[edges[3]] = False
    without = selection.Circuit(mask, circuit.graph, 0)
    values = evaluation.evaluate(case.model, [circuit, without], case.pairs)["nll"]
    torch.testing.assert_close(effects[3], values[1] - values[0], rtol=1e-4, atol=1e-6)


def test_an_edge_outside_the_circuit_is_named(case, circuit):
    outside = (case.model.graph.mask & ~circuit.mask).flatten().nonzero()[0]
    name = case.model.graph.edge_name(*divmod(int(outside), case.model.graph.n_destinations))
    with pytest.raises(InputError, match=name.replace("<", "<")):
        criteria.minimality(case.model, circuit, case.pairs, outside)
