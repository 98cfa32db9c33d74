import pytest
import torch

from rewire.circuits.metrics import METRICS, References, measure
from rewire.pairs import TokenPairs


@pytest.fixture
def setting():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 7, (3, 6), generator=generator)
    pairs = TokenPairs(
        tokens, tokens, torch.tensor([6, 5, 6]), torch.tensor([2, 1, 3]), torch.tensor([1, 2, 3])
    )
    logits = [torch.randn(6, 7, generator=generator, dtype=torch.float64) for _ in range(3)]
    return pairs, pairs.targets(), logits[0], References(logits[1], logits[2])


def by_hand(metric, logits, references, row, targets):
    at = [i for i, example in enumerate(targets.example.tolist()) if example == row]
    p = logits.softmax(-1)
    if metric == "nll":
        return sum(-p[i, targets.token[i]].log() for i in at) / len(at)
    if metric == "accuracy":
        return sum(float(logits[i].argmax() == targets.token[i]) for i in at) / len(at)
    if metric.startswith("kl"):
        q = (references.corrupted if metric == "kl_corrupted" else references.clean).softmax(-1)
        if metric == "kl_reverse":
            p, q = q, p
        return sum((q[i] * (q[i] / p[i]).log()).sum() for i in at) / len(at)
    values = logits if metric == "logit_diff" else p
    return values[at[-1], targets.token[at[-1]]] - values[at[-1], targets.wrong_token[row]]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_by_hand(setting, metric):
    pairs, targets, logits, references = setting
    assert targets.position.tolist() == [3, 4, 3, 2, 3, 4], "a target is read one position before it"
    found = measure(metric, logits, targets, references)
    for row in range(len(pairs)):
        assert float(found[row]) == pytest.approx(
            float(by_hand(metric, logits, references, row, targets)), rel=1e-9
        )


def test_kl_of_a_run_to_itself_is_zero(setting):
    _, targets, logits, _ = setting
    assert measure("kl", logits, targets, References(logits, logits)).abs().max() == 0


def test_half_precision_is_measured_in_float32(setting):
    _, targets, logits, references = setting
    found = measure("nll", logits.bfloat16(), targets, references)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, measure("nll", logits.bfloat16().float(), targets, references))
