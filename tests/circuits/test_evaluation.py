import pytest
import torch
from circuits.oracle import PatchedModel, mean_nll
from circuits.random_models import ARCHITECTURES, random_pairs
from transformers import AutoModelForCausalLM

from rewire.circuits import attribution, evaluation, selection
from rewire.circuits.graph import Graph
from rewire.circuits.selection import Circuit
from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import TokenPairs

METRICS = ("nll", "kl", "kl_corrupted", "logit_diff")


def test_circuits_give_the_published_librarys_values(case):
    compared = 0
    for name in case.names("evaluate.patching."):
        _, metric, _, n = name.rsplit(".", 3)
        circuit = Circuit(case.tensors[f"in_graph.{name}"].bool(), case.model.graph, int(n))
        values = evaluation.evaluate(case.model, [circuit], case.pairs, [metric])[metric][0]
        # a KL near 0 is a difference of logarithms: float32 leaves it 1e-7 either side
        torch.testing.assert_close(
            values,
            case.tensors[f"evaluate.patching.{name}"],
            rtol=1e-4,
            atol=4e-7 if metric == "kl" else 1e-6,
        )
        compared += 1
    assert compared >= 20


def test_baselines_are_the_published_librarys(case):
    values = evaluation.evaluate_baselines(case.model, case.pairs, ["nll", "kl", "logit_diff"])
    for run in ("clean", "corrupted"):
        for metric in values[run]:
            expected = case.tensors[f"baseline.{run}.{metric}"]
            torch.testing.assert_close(values[run][metric], expected, rtol=1e-4, atol=1e-6)


def test_whole_graph_is_clean_and_empty_graph_is_corrupted(case):
    graph = case.model.graph
    whole = Circuit(graph.mask, graph, graph.n_edges)
    empty = Circuit(torch.zeros_like(graph.mask), graph, 0)
    values = evaluation.evaluate(case.model, [whole, empty], case.pairs, METRICS)
    baselines = evaluation.evaluate_baselines(case.model, case.pairs, METRICS)
    for metric in METRICS:
        torch.testing.assert_close(values[metric][0], baselines["clean"][metric], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(values[metric][1], baselines["corrupted"][metric], rtol=1e-5, atol=1e-6)
    assert baselines["clean"]["kl"].abs().max() == 0 == baselines["corrupted"]["kl_corrupted"].abs().max()


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_circuits_equal_brute_force_path_patching(random_models, kind):
    """Random circuits, not pruned, against explicit patching of every edge on Hugging Face's modules."""
    folder = random_models[kind]
    model = load(folder, dtype=torch.float64)
    oracle = PatchedModel(AutoModelForCausalLM.from_pretrained(folder))
    graph, pairs = model.graph, random_pairs()
    generator = torch.Generator().manual_seed(1)
    for share in (0.0, 0.1, 0.4, 0.8, 1.0):
        mask = graph.mask & (torch.rand(graph.mask.shape, generator=generator) < share)
        values = evaluation.evaluate(model, [Circuit(mask, graph, 0)], pairs, ["nll"])["nll"][0]
        edges = {
            destination: {graph.sources[u] for u in mask[:, v].nonzero().flatten().tolist()}
            for v, destination in enumerate(graph.destinations)
        }
        expected = mean_nll(
            oracle.circuit(pairs.clean, pairs.corrupted, edges), pairs.clean, pairs.lengths, 2
        )
        torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-6)


def test_batch_size_changes_nothing(case):
    scores = attribution.attribute(case.model, case.pairs)
    circuits = [selection.top_n(scores, n) for n in (5, 20, 60)]
    reference = evaluation.evaluate(case.model, circuits, case.pairs, METRICS, batch_tokens=10_000)
    for tokens in (1, 3 * int(case.pairs.lengths.max())):
        again = evaluation.evaluate(case.model, circuits, case.pairs, METRICS, batch_tokens=tokens)
        for metric in METRICS:
            torch.testing.assert_close(again[metric], reference[metric], rtol=1e-4, atol=1e-6)


def test_logit_diff_needs_a_wrong_token(case):
    p = case.pairs
    plain = TokenPairs(p.clean, p.corrupted, p.lengths, p.target_tokens)
    with pytest.raises(ValueError, match="wrong_token"):
        evaluation.evaluate_baselines(case.model, plain, ["logit_diff"])


@pytest.mark.parametrize("name", ["clean", "corrupted", "wrong_token"])
def test_tokens_that_the_model_does_not_have_are_named(case, name):
    words = len(case.model.stream.embedding)
    values = {"clean": torch.ones(3, 5), "corrupted": torch.ones(3, 5), "wrong_token": torch.ones(3)}
    values = {key: value.long() for key, value in values.items()}
    values[name][1] = words
    pairs = TokenPairs(**values)
    for run in (
        lambda: evaluation.evaluate_baselines(case.model, pairs),
        lambda: evaluation.evaluate(case.model, [selection.whole(case.model.graph)], pairs),
        lambda: attribution.attribute(case.model, pairs),
    ):
        with pytest.raises(InputError, match=f"example 1: {name} has token {words}, the model has {words}"):
            run()


def test_examples_longer_than_the_context_have_no_baselines(case):
    tokens = torch.ones(1, case.model.stream.context + 2, dtype=torch.long)
    with pytest.raises(InputError, match="context"):
        evaluation.evaluate_baselines(case.model, TokenPairs(tokens, tokens))


def test_a_circuit_of_another_graph_is_refused(case):
    graph = case.model.graph
    other = selection.whole(Graph(graph.n_layers, graph.n_heads + 1, graph.d_model))
    with pytest.raises(InputError, match="circuit 1 is of another graph"):
        evaluation.evaluate(case.model, [selection.whole(graph), other], case.pairs)
