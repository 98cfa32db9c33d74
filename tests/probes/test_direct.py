"""Direct attribution adds up to the logits; the lens ends in the model's own answer; heads and neurons by hand."""

from dataclasses import replace

import pytest
import torch
from circuits.random_models import EVERY_ARCHITECTURE, save_random_model

from rewire.errors import InputError
from rewire.models import load
from rewire.probes import heads
from rewire.probes.direct import attribute_logits, logit_lens
from rewire.probes.neurons import direct_effects, promoted_and_suppressed
from rewire.probes.readings import read_heads_and_logits
from rewire.probes.runs import Run

ANSWERS = torch.tensor([[3, 4], [8, 21], [11, 0]])
CLOSE = {"rtol": 2e-4, "atol": 2e-5}  # transformers computes RMSNorm in float32 whatever the model is in


class Case:
    def __init__(self, kind, folder):
        self.model = load(save_random_model(folder, kind), dtype=torch.float64)
        self.stream = self.model.stream
        self.tokens = torch.randint(0, 50, (3, 8), generator=torch.Generator().manual_seed(2))
        self.run = Run(self.stream, self.tokens)
        self.logits, self.cache = self.model.bridge.run_with_cache(self.tokens)


@pytest.fixture(scope="module", params=EVERY_ARCHITECTURE)
def case(request, tmp_path_factory):
    return Case(request.param, tmp_path_factory.mktemp("direct"))


def test_all_components_add_up_to_the_logits(case):
    components, parts = attribute_logits(case.run, ANSWERS)
    assert parts.shape == (3, len(components), 2)
    names = [component.name for component in components]
    n_layers, n_heads = case.stream.n_layers, case.stream.n_heads
    assert names.count("head") == n_layers * n_heads and names.count("mlp") == n_layers
    expected = case.logits[:, -1].gather(1, ANSWERS)
    torch.testing.assert_close(parts.sum(1), expected, **CLOSE)


def test_a_component_is_its_output_read_by_the_frozen_final_norm(case):
    """Each MLP's hooked output, scaled as the final norm scales the whole residual stream, times the unembedding."""
    components, parts = attribute_logits(case.run, ANSWERS)
    stream = case.stream
    norm = case.model.bridge.ln_final.original_component
    final = stream.n_layers - 1
    state = case.cache[f"blocks.{final}.hook_out"][:, -1]
    centred = state - state.mean(-1, keepdim=True) if stream.centred else state
    for layer in range(stream.n_layers):
        written = case.cache[f"blocks.{layer}.mlp.hook_out"][:, -1]
        moved = written - written.mean(-1, keepdim=True) if stream.centred else written
        read = moved / (centred.square().mean(-1, keepdim=True) + stream.epsilon).sqrt() * norm.weight
        expected = torch.einsum("bd,bad->ba", read, case.model.bridge.W_U.T[ANSWERS])
        number = next(i for i, c in enumerate(components) if (c.name, c.layer) == ("mlp", layer))
        torch.testing.assert_close(parts[:, number], expected, **CLOSE)


def test_the_lens_ends_in_the_models_own_answer_and_starts_with_the_bigram(case):
    lens = logit_lens(case.run, ANSWERS)
    assert lens.shape == (3, case.stream.n_layers + 1, 4)
    own = case.logits[:, -1]
    p = own.softmax(-1).gather(1, ANSWERS)
    rank = (own > own.gather(1, ANSWERS[:, :1])).sum(1) + 1
    torch.testing.assert_close(lens[:, -1, :2], p, **CLOSE)
    assert lens[:, -1, 3].tolist() == rank.tolist()
    torch.testing.assert_close(lens[:, 0], heads.bigram(case.run, ANSWERS), rtol=1e-9, atol=1e-12)


def test_attention_is_the_models_own(case):
    position = torch.tensor([0, 3, 7])
    found = heads.attention_to(case.run, position)
    for layer in range(case.stream.n_layers):
        pattern = case.cache[f"blocks.{layer}.attn.hook_pattern"]
        expected = torch.stack([pattern[row, :, -1, at] for row, at in enumerate(position.tolist())])
        torch.testing.assert_close(found[:, layer], expected, **CLOSE)


def test_a_heads_output_weighted_by_its_attention_is_its_direct_effect(case):
    """Summed over all attended positions with the attention there, the OV readings are the head's direct attribution."""
    components, parts = attribute_logits(case.run, ANSWERS)
    length = case.run.shape[1]
    for head in ((0, 1), (case.stream.n_layers - 1, 0)):
        total = torch.zeros(3, dtype=torch.float64)
        for place in range(length):
            position = torch.full((3,), place)
            reading = heads.output_reading(case.run, head, position, ANSWERS)
            assert ((reading[:, :3] >= 1) & (reading[:, :3] <= 50)).all()
            total += heads.attention_to(case.run, position)[:, head[0], head[1]] * reading[:, 3]
        number = next(i for i, c in enumerate(components) if (c.name, c.layer, c.head) == ("head", *head))
        torch.testing.assert_close(total, parts[:, number, 0] - parts[:, number, 1], rtol=1e-6, atol=1e-8)


def test_strongest_keys_are_those_that_attention_prefers(case):
    """In the first layer, against a prompt of the tokens themselves: without positions the scores would be its own."""
    stream, head = case.stream, (0, 0)
    ids, scores = heads.strongest_keys(case.run, head, torch.tensor([7, 7, 2]), 50)
    assert ids.shape == (3, 50) and (scores.diff(dim=1) <= 0).all()
    assert sorted(ids[0].tolist()) == list(range(50))
    # one token's key, worked out by the block's own projection on its bare embedding
    alone = stream.qkv(0, stream.embed(ids[2, :1])[None])[0, 0, 1, 0]
    query = case.run.trace.qkv[0][2, 2, 0, 0]
    torch.testing.assert_close(scores[2, 0], query @ alone / stream.d_head**0.5, rtol=1e-6, atol=1e-9)


def test_the_skip_trigram_is_a_one_head_model(case):
    """What is left of the model when only one head of the first block writes, and only about one token."""
    position = torch.tensor([2, 0, 5])
    found = heads.skip_trigram(case.run, (0, 1), position, ANSWERS)
    stream, rows = case.stream, torch.arange(3)
    value = case.run.trace.qkv[0][rows, position, 2, 1] @ stream.weight_o[0][1]
    start = case.run.residual(0)[:, -1]
    own = stream.logits(start + value)
    torch.testing.assert_close(found[:, :2], own.softmax(-1).gather(1, ANSWERS), rtol=1e-6, atol=1e-9)


def test_a_neurons_direct_effect_is_what_it_adds_to_the_logits(case):
    """Last layer: adding the neuron's change to the final residual stream, the norm's scale frozen, by hand."""
    other = self_changed(case)
    layer = case.stream.n_layers - 1
    effects = direct_effects(case.run, other, ANSWERS, layer)
    components, parts = attribute_logits(case.run, ANSWERS)
    assert effects.shape == (3, case.run.neurons(layer).shape[-1])
    # all neurons together are the MLP's change, read with the corrupted run's scale
    change = case.run.trace.mlp_out[layer][:, -1] - other.trace.mlp_out[layer][:, -1]
    stream = case.stream
    final = other.residual(stream.n_layers)[:, -1]
    gain = case.model.bridge.ln_final.original_component.weight
    centred = change - change.mean(-1, keepdim=True) if stream.centred else change
    read = centred / stream.scale(final) * gain
    logits = read @ stream.unembedding.T
    chosen = logits.gather(1, ANSWERS)
    torch.testing.assert_close(effects.sum(1), chosen[:, 0] - chosen[:, 1], rtol=1e-6, atol=1e-8)


def self_changed(case):
    tokens = case.tokens.clone()
    tokens[:, 3] = (tokens[:, 3] + 1) % 50
    return Run(case.stream, tokens)


def test_promoted_tokens_rise_when_the_neuron_fires(case):
    up, down = promoted_and_suppressed(case.stream, 1, torch.tensor([0, 7]), 5)
    assert up.shape == down.shape == (2, 5)
    w_out = case.model.bridge.blocks[1].mlp.W_out
    norm = case.model.bridge.ln_final.original_component
    for row, neuron in enumerate((0, 7)):
        written = w_out[neuron]
        centred = written - written.mean() if case.stream.centred else written
        logits = (centred * norm.weight) @ case.model.bridge.W_U
        order = logits.argsort(descending=True)
        assert up[row].tolist() == order[:5].tolist() and down[row].tolist() == order.flip(0)[:5].tolist()


def test_heads_out_of_range_are_named(case):
    with pytest.raises(InputError, match=r"head 0.9 is out of range: there are \d layers of \d heads"):
        heads.check_heads(case.stream, [(0, 0), (0, 9)])


def test_a_label_at_the_last_token_makes_no_skip(base, prompts):
    """Under whatever name: `end` is the last token of every second prompt."""
    ends = [{"end": len(row) - 1 - i % 2} for i, row in enumerate(prompts.clean)]
    labelled = replace(prompts, labels=[own | end for own, end in zip(prompts.labels, ends, strict=True)])
    tables = read_heads_and_logits(base, labelled, [(0, 1)], ["end", "last"], 1, 512)
    skips = tables["baselines"][tables["baselines"]["baseline"] == "skip-trigram"]
    assert skips["id"].tolist() == prompts.ids[1::2] and set(skips["place"]) == {"end"}
    assert len(tables["outputs"]) == 2 * len(prompts)
