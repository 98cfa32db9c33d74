"""Scores, circuits and evaluation of nodes and of neurons, and each example's scores."""

import pytest
import torch
from circuits.oracle import PatchedModel, mean_nll
from circuits.random_models import ARCHITECTURES, random_pairs
from transformers import AutoModelForCausalLM

from rewire.circuits import attribution, evaluation, selection
from rewire.circuits.controls import complement, random_like
from rewire.circuits.selection import Circuit, induced
from rewire.errors import InputError
from rewire.models import load

INTEGRATED = ("EAP", "EAP-IG-inputs", "clean-corrupted")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def double(request, random_models):
    """A random model in float64, and the oracle of it."""
    folder = random_models[request.param]
    model = load(folder, dtype=torch.float64)
    return model, PatchedModel(AutoModelForCausalLM.from_pretrained(folder))


def expected_nll(oracle, graph, circuit):
    """The oracle's NLL of a circuit, every edge patched explicitly."""
    pairs = random_pairs()
    edges = {
        destination: {graph.sources[u] for u in circuit.mask[:, v].nonzero().flatten().tolist()}
        for v, destination in enumerate(graph.destinations)
    }
    neurons = None
    if circuit.neurons is not None:
        neurons = dict(zip(graph.sources, circuit.neurons, strict=True))
    logits = oracle.circuit(pairs.clean, pairs.corrupted, edges, neurons)
    return mean_nll(logits, pairs.clean, pairs.lengths, 2)


@pytest.mark.parametrize("method", INTEGRATED)
def test_a_nodes_score_is_the_sum_over_its_edges(double, method):
    """What u writes reaches the metric through its readers: <delta_u, dM/d(out u)> = sum over v of s(u->v)."""
    model, _ = double
    edges = attribution.attribute(model, random_pairs(), method=method)
    nodes = attribution.attribute(model, random_pairs(), method=method, level="node")
    neurons = attribution.attribute(model, random_pairs(), method=method, level="neuron")
    largest = float(nodes.values.abs().max())
    torch.testing.assert_close(nodes.values, edges.values.sum(dim=1), rtol=1e-3, atol=1e-5 * largest)
    torch.testing.assert_close(neurons.values.sum(dim=1), nodes.values, rtol=1e-3, atol=1e-5 * largest)
    assert nodes.completeness_gap == pytest.approx(edges.completeness_gap, rel=1e-6)


def test_a_neurons_score_is_the_derivative_of_moving_it(double):
    """Central finite differences on Hugging Face's modules: one coordinate of what a source writes, in all readers."""
    model, oracle = double
    pairs, graph = random_pairs(), model.graph
    step = 1e-2  # RMSNorm is float32 in transformers, whatever the model is in: smaller differences of it are noise
    scores = attribution.attribute(model, pairs, method="EAP", level="neuron").values
    before, after = oracle.outputs(pairs.clean), oracle.outputs(pairs.corrupted)
    real = (torch.arange(pairs.clean.shape[1]) < pairs.lengths[:, None])[..., None]
    for u, source in list(enumerate(graph.sources))[::2]:
        for neuron in (0, graph.d_model - 1):
            moved = torch.zeros_like(before[source])
            moved[..., neuron] = ((after[source] - before[source]) * real)[..., neuron]
            readers = {graph.destinations[v] for v in graph.mask[u].nonzero().flatten().tolist()}

            def nll(sign, moved=moved, readers=readers):
                logits = oracle.run(
                    oracle.embed(pairs.clean),
                    lambda name, x: x + sign * step * moved if name in readers else x,
                )
                return mean_nll(logits, pairs.clean, pairs.lengths, 2).mean()

            expected = float(nll(1) - nll(-1)) / (2 * step)
            noise = 2e-3 * float(scores.abs().max())  # RMSNorm is float32 in transformers
            assert float(scores[u, neuron]) == pytest.approx(expected, rel=1e-4, abs=noise), source


def test_interpolating_one_component_adds_up_to_ablating_it(double):
    """EAP-IG-activations by node is complete: input and MLPs each, the heads of a layer together."""
    model, _ = double
    graph, pairs = model.graph, random_pairs()
    scores = attribution.attribute(
        model, pairs, method="EAP-IG-activations", steps=40, grid="midpoint", level="node"
    )
    groups = [[0]]
    for layer in range(graph.n_layers):
        first = graph.first_source(layer)
        groups += [list(range(first, first + graph.n_heads)), [first + graph.n_heads]]
    for group in groups:
        nodes = torch.ones(graph.n_sources, dtype=torch.bool)
        nodes[group] = False
        # what is cut off keeps reading: only what the group writes is ablated
        mask = graph.mask & nodes[:, None]
        circuits = [selection.whole(graph), Circuit(mask, graph, 0)]
        whole, without = evaluation.evaluate(model, circuits, pairs)["nll"].mean(dim=1).tolist()
        found = float(scores.values[group].sum())
        assert found == pytest.approx(without - whole, rel=0.02, abs=2e-3 * float(scores.values.abs().max()))


@pytest.mark.parametrize("level", ["node", "neuron"])
def test_circuits_of_nodes_and_neurons_equal_brute_force_patching(double, level):
    model, oracle = double
    scores = attribution.attribute(model, random_pairs(), level=level)
    most = scores.values.numel()
    generator = torch.Generator().manual_seed(5)
    for share in (0.3, 0.7, 1.0):
        circuit = selection.top_n(scores, round(share * most))
        for tried in (circuit, random_like(circuit, generator), complement(circuit)):
            found = evaluation.evaluate(model, [tried], random_pairs())["nll"][0]
            torch.testing.assert_close(found, expected_nll(oracle, model.graph, tried), rtol=1e-5, atol=1e-6)
    baseline = evaluation.evaluate_baselines(model, random_pairs())["clean"]["nll"]
    every = selection.top_n(scores, most)
    torch.testing.assert_close(evaluation.evaluate(model, [every], random_pairs())["nll"][0], baseline)


@pytest.mark.parametrize("level", ["node", "neuron"])
def test_exact_scores_are_ablations_one_at_a_time(double, level):
    model, oracle = double
    graph = model.graph
    scores = attribution.attribute(model, random_pairs(), method="exact", level=level, examples=True)
    clean = expected_nll(oracle, graph, selection.whole(graph))
    for u in (0, 1, graph.n_sources - 1):
        if level == "node":
            nodes = torch.ones(graph.n_sources, dtype=torch.bool)
            nodes[u] = False
            without = Circuit(induced(nodes, graph), graph, 0)
            found, each = scores.values[u], scores.examples[:, u]
        else:
            neurons = torch.ones(graph.n_sources, graph.d_model, dtype=torch.bool)
            neurons[u, 2] = False
            without = Circuit(graph.mask, graph, 0, "neuron", neurons)
            found, each = scores.values[u, 2], scores.examples[:, u, 2]
        change = expected_nll(oracle, graph, without) - clean
        torch.testing.assert_close(each.double(), change, rtol=1e-4, atol=1e-5)
        assert float(found) == pytest.approx(float(change.mean()), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("level", selection.LEVELS)
@pytest.mark.parametrize("method", attribution.METHODS)
def test_each_examples_scores_are_those_of_the_example_alone(case, level, method):
    if method == "information-flow-routes" and level != "edge":
        with pytest.raises(InputError, match=f"not level '{level}'"):
            attribution.attribute(case.model, case.pairs, method=method, level=level)
        return
    if method == "exact" and level == "neuron":
        return  # tested above, on fewer runs
    metric = "nll"
    pairs = case.pairs.subset(torch.tensor([0, 3, 1]))
    scores = attribution.attribute(case.model, pairs, metric, method, steps=2, level=level, examples=True)
    assert scores.level == level and len(scores.examples) == 3
    mean = scores.examples.mean(dim=0)
    values = scores.values[case.model.graph.mask] if level == "edge" else scores.values
    largest = float(values.abs().max())
    torch.testing.assert_close(mean, values, rtol=1e-4, atol=1e-6 * largest)
    alone = attribution.attribute(
        case.model, pairs.subset(torch.tensor([1])), metric, method, steps=2, level=level
    )
    values = alone.values[case.model.graph.mask] if level == "edge" else alone.values
    torch.testing.assert_close(scores.examples[1], values, rtol=1e-3, atol=2e-6 + 1e-5 * largest)


@pytest.mark.parametrize("level", selection.LEVELS)
def test_leading_scores_come_with_each_example(case, level):
    scores = attribution.attribute(case.model, case.pairs, level=level, examples=True)
    best, each = scores.leading(7)
    assert each.shape == (len(case.pairs), 7) and len(best.unique()) == 7
    values = scores.values.flatten()[best]
    assert (values.abs().diff() <= 0).all()
    torch.testing.assert_close(each.mean(dim=0), values, rtol=1e-4, atol=1e-7)
    with pytest.raises(InputError, match="examples=True"):
        attribution.attribute(case.model, case.pairs, level=level).leading(7)


def test_unknown_levels_are_named(case):
    with pytest.raises(InputError, match="'layer' is not one of edge, node, neuron"):
        attribution.attribute(case.model, case.pairs, level="layer")
