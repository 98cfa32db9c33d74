"""The decomposition against Hugging Face's own forward, and against an independent implementation's activations."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from rewire.errors import InputError
from rewire.models import load
from rewire.residual import refuse_unsupported


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    config = GPT2Config(n_layer=3, n_head=4, n_embd=32, n_positions=40, vocab_size=50)
    model = GPT2LMHeadModel(config)
    for parameter in model.parameters():  # gains and biases away from 1 and 0
        torch.nn.init.normal_(parameter, std=0.2)
    path = tmp_path_factory.mktemp("gpt2")
    model.save_pretrained(path)
    return path


def logits(stream, tokens, start=0):
    past = stream.prefix(tokens[:, :start]) if start else None
    return stream.logits(stream.run(stream.embed(tokens[:, start:]), start, past).final)


@pytest.mark.parametrize("start", [0, 1, 7])
def test_logits_are_the_models_own_for_any_window(folder, start):
    model = load(folder, dtype=torch.float64)
    tokens = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(1))
    expected = GPT2LMHeadModel.from_pretrained(folder).double().eval()(tokens).logits
    torch.testing.assert_close(logits(model.stream, tokens, start), expected[:, start:], rtol=1e-9, atol=1e-9)


def test_what_the_sources_write_adds_up_to_the_residual_stream(folder):
    stream = load(folder, dtype=torch.float64).stream
    tokens = torch.randint(0, 50, (2, 9), generator=torch.Generator().manual_seed(2))
    trace = stream.run(stream.embed(tokens), 0, None)
    total = stream.embed(tokens) + stream.positions(0, 9)
    for layer in range(stream.n_layers):
        torch.testing.assert_close(trace.residual[layer], total)
        heads = torch.einsum("bthe,hed->bthd", trace.z[layer], stream.weight_o[layer])
        total = total + heads.sum(2) + stream.bias_o[layer] + trace.mlp_out[layer]
    torch.testing.assert_close(trace.final, total)


def test_activations_of_an_independent_implementation(material):
    expected = load_file(material / "models" / "sort" / "activations.safetensors")
    stream = load(material / "models" / "sort").stream
    trace = stream.run(stream.embed(expected["idx"].long()), 0, None)
    for layer in range(3):
        block = trace.residual[layer + 1] if layer < 2 else trace.final
        torch.testing.assert_close(block, expected[f"block{layer}"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(stream.logits(trace.final), expected["lm_head"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"normalization_type": "RMS"}, "LayerNorm"),
        ({"positional_embedding_type": "rotary"}, "positions"),
        ({"n_key_value_heads": 2}, "shared between heads"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scaled by layer"),
    ],
)
def test_other_architectures_are_refused_by_name(folder, change, reason):
    config = load(folder).bridge.cfg
    for name, value in change.items():
        setattr(config, name, value)
    with pytest.raises(InputError, match=f"GPT2LMHeadModel.*{reason}"):
        refuse_unsupported(config)
