import math

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from rewire.differential import (
    attention_entropy,
    attention_kl,
    attention_log_pattern,
    compare,
)
from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import TokenPairs


def save_model(path, seed, **options):
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(
        GPT2Config(
            **{"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 16, "vocab_size": 30, **options}
        )
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return [save_model(root / str(seed), seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def pairs():
    tokens = torch.randint(0, 30, (5, 12), generator=torch.Generator().manual_seed(0))
    return TokenPairs(tokens, tokens, torch.tensor([12, 7, 9, 12, 3]))


def test_a_model_against_itself_is_zero_everywhere(folders, pairs):
    rows = compare(load(folders[0]), load(folders[0]), pairs)
    assert all(abs(row["cosine_distance"]) < 1e-12 for row in rows["layers"])
    assert all(row["attention_kl"] == 0 and row["entropy"] == row["entropy_base"] for row in rows["heads"])
    assert len(rows["layers"]) == 5 * 4 and len(rows["heads"]) == 5 * 2 * 2


def test_measures_are_those_of_the_definitions(folders, pairs):
    """Against Hugging Face's own hidden states and attentions, one example at a time, plain formulas."""
    rows = compare(load(folders[0]), load(folders[1]), pairs)
    models = [
        GPT2LMHeadModel.from_pretrained(f, attn_implementation="eager").double().eval() for f in folders
    ]
    for example, length in enumerate(pairs.lengths.tolist()):
        tokens = pairs.clean[example : example + 1, :length]
        outputs = [m(tokens, output_hidden_states=True, output_attentions=True) for m in models]
        for row in (r for r in rows["layers"] if r["example"] == example):
            if row["site"] == "final_norm":
                a, b = (o.hidden_states[-1][0] for o in outputs)
            elif row["layer"] < 2:
                a, b = (o.hidden_states[row["layer"]][0] for o in outputs)
            else:
                continue  # transformers has no hidden state between the last block and the final norm
            expected = 1 - torch.nn.functional.cosine_similarity(a, b, dim=-1).mean()
            assert row["cosine_distance"] == pytest.approx(expected.item(), abs=1e-5)
        for row in (r for r in rows["heads"] if r["example"] == example):
            p, q = (o.attentions[row["layer"]][0, row["head"]].tolist() for o in outputs)
            entropy, kl, scaled = [], [], []
            for t in range(length):
                used = range(t + 1)
                h = -sum(q[t][s] * math.log(q[t][s]) for s in used)
                kl.append(sum(q[t][s] * math.log(q[t][s] / p[t][s]) for s in used))
                if t:
                    entropy.append(h)
                    scaled.append(h / math.log(t + 1))
            assert row["entropy"] == pytest.approx(sum(entropy) / len(entropy), rel=1e-4)
            assert row["normalised_entropy"] == pytest.approx(sum(scaled) / len(scaled), rel=1e-4)
            assert row["attention_kl"] == pytest.approx(sum(kl) / len(kl), rel=1e-3, abs=1e-6)


def test_batches_change_nothing(folders, pairs):
    base, tuned = load(folders[0]), load(folders[1])
    whole, small = compare(base, tuned, pairs, 10_000), compare(base, tuned, pairs, 1)
    for table in ("layers", "heads"):
        for a, b in zip(whole[table], small[table], strict=True):
            assert a.keys() == b.keys()
            for key in a:
                assert a[key] == (
                    b[key] if isinstance(b[key], str) else pytest.approx(b[key], rel=1e-5, abs=1e-9)
                )


def test_uniform_attention_has_entropy_log_of_the_positions(folders):
    stream = load(folders[0]).stream
    entropy = attention_entropy(attention_log_pattern(stream, torch.zeros(1, 6, 3, 2, 8)))
    torch.testing.assert_close(entropy, torch.log(torch.arange(1.0, 7.0)).double().expand(1, 2, 6))


def test_kl_of_attention_that_underflows_is_finite(folders):
    stream = load(folders[0]).stream
    q, p = torch.zeros(1, 4, 3, 1, 2), torch.zeros(1, 4, 3, 1, 2)
    p[:, :, 0] = 400.0  # P attends to one position alone: its other probabilities underflow
    p[:, 0, 1] = 400.0
    divergence = attention_kl(attention_log_pattern(stream, q), attention_log_pattern(stream, p))
    assert torch.isfinite(divergence).all() and (divergence[..., 1:] > 0).all()


def test_attention_patterns_are_an_independent_implementations(material):
    expected = load_file(material / "models" / "sort" / "activations.safetensors")
    stream = load(material / "models" / "sort").stream
    trace = stream.run(stream.embed(expected["idx"].long()), 0, None)
    pattern = (
        attention_log_pattern(stream, trace.qkv[0]).exp().float()
    )  # [examples, heads, T, T]; recorded: the first block
    torch.testing.assert_close(pattern, expected["attSm"], rtol=1e-3, atol=1e-5)


def test_models_of_other_shapes_are_refused(folders, pairs, tmp_path):
    other = save_model(tmp_path / "wide", 0, n_embd=32)
    with pytest.raises(InputError, match="width 16.*32"):
        compare(load(folders[0]), load(other), pairs)


def test_activations_that_are_not_finite_are_named(folders, pairs, tmp_path):
    model = GPT2LMHeadModel.from_pretrained(folders[0])
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.bias[0] = float("nan")
    model.save_pretrained(tmp_path / "nan")
    with pytest.raises(InputError, match=r"checkpoint: activations of layer 1 .* example"):
        compare(load(folders[0]), load(tmp_path / "nan"), pairs)
