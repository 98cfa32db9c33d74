"""Blocks against Hugging Face's own forward, in every architecture, and against an independent implementation's values."""

import pytest
import torch
from circuits.random_models import ARCHITECTURES, save_random_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from rewire.differential.activations import paired_blocks
from rewire.models import load


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_blocks_are_the_models_own(kind, tmp_path):
    """To 1e-6: some of Hugging Face's models work out softmax in float32 even in float64."""
    folder = save_random_model(tmp_path, kind)
    stream = load(folder, dtype=torch.float64).stream
    tokens = torch.randint(0, 50, (2, 9), generator=torch.Generator().manual_seed(1))
    reference = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").double().eval()
    with torch.no_grad():
        expected = reference(tokens, output_hidden_states=True, output_attentions=True)
        blocks = list(paired_blocks(stream, stream, tokens))
    for layer, (block, other, measures) in enumerate(blocks):
        torch.testing.assert_close(block.before, expected.hidden_states[layer], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(block.after, block.before + block.attention_out + block.mlp_out)
        assert torch.equal(block.after, other.after)
        attention = expected.attentions[layer]
        entropy = -(attention * attention.clamp(min=1e-300).log()).sum(-1)
        torch.testing.assert_close(measures["entropy"], entropy, rtol=1e-6, atol=1e-6)
        weight = stream.bridge.blocks[layer].mlp.W_out
        written = block.neurons @ weight
        spread = (block.mlp_out - written).flatten(0, 1)  # the bias, the same at every token
        torch.testing.assert_close(spread, spread[:1].expand_as(spread), rtol=1e-6, atol=1e-6)
    final = stream.final_norm(blocks[-1][0].after)
    torch.testing.assert_close(final, expected.hidden_states[-1], rtol=1e-6, atol=1e-6)


def test_two_models_do_not_touch_each_other(two_precise, pairs):
    p, q = (model.stream for model in two_precise)
    with torch.no_grad():
        together = [(a.after, b.after) for a, b, _ in paired_blocks(p, q, pairs.clean)]
        alone = [[a.after for a, _, _ in paired_blocks(s, s, pairs.clean)] for s in (p, q)]
    for layer, both in enumerate(together):
        for which in (0, 1):
            torch.testing.assert_close(both[which], alone[which][layer])


def test_activations_of_an_independent_implementation(material):
    expected = load_file(material / "models" / "sort" / "activations.safetensors")
    stream = load(material / "models" / "sort").stream
    with torch.no_grad():
        blocks = [block for block, _, _ in paired_blocks(stream, stream, expected["idx"].long())]
    recorded = {"attention_out": "yProj", "neurons": "gelu", "mlp_out": "mlp"}  # of the first block alone
    for name, theirs in recorded.items():
        torch.testing.assert_close(getattr(blocks[0], name), expected[theirs], rtol=1e-3, atol=1e-4)
    for layer, block in enumerate(blocks):
        torch.testing.assert_close(block.after, expected[f"block{layer}"], rtol=1e-4, atol=1e-4)
