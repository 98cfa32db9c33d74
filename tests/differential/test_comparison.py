"""The comparison of two models: identities, invariances, bad input."""

import numpy as np
import pytest
import torch
from transformers import GPT2LMHeadModel

from rewire.differential.comparison import compare
from rewire.differential.tables import HEAD_MEASURES, LAYER_MEASURES
from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import TokenPairs


def same(a, b, **tolerance):
    for measure in LAYER_MEASURES:
        np.testing.assert_allclose(a.layers[measure], b.layers[measure], **tolerance)
    for measure in HEAD_MEASURES:
        np.testing.assert_allclose(a.heads[measure], b.heads[measure], **tolerance)


def test_a_model_against_itself_is_zero_everywhere(two, pairs):
    examples, neurons = compare(two[0], two[0], pairs)
    states = [i for i, (_, site) in enumerate(examples.sites) if site in ("residual", "final_norm")]
    for measure in ("cosine_distance", "centred_cosine_distance"):
        assert (examples.layers[measure][:, states] == 0).all()
    for measure in ("cka", "rsa"):
        np.testing.assert_allclose(examples.layers[measure][:, states], 1, rtol=1e-12)
    for measure in ("norm", "mean_absolute"):
        np.testing.assert_array_equal(examples.layers[measure], examples.layers[f"{measure}_base"])
    for measure in ("entropy", "normalised_entropy", "gini"):
        np.testing.assert_array_equal(examples.heads[measure], examples.heads[f"{measure}_base"])
    for measure in ("attention_kl", "attention_kl_reverse", "attention_js"):
        assert (examples.heads[measure] == 0).all()
    columns = neurons.columns()
    assert (
        (columns["difference"] == 0).all() and (columns["cohens_d"] == 0).all() and (columns["p"] == 1).all()
    )


def test_hidden_states_and_attention_are_hugging_faces(folders, two_precise, pairs):
    """One example at a time, plain formulas on Hugging Face's own hidden states and attentions."""
    examples, neurons = compare(*two_precise, pairs)
    models = [
        GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager").double().eval()
        for folder in folders
    ]
    for i, length in enumerate(pairs.lengths.tolist()):
        tokens = pairs.clean[i : i + 1, :length]
        with torch.no_grad():
            p, q = (m(tokens, output_hidden_states=True, output_attentions=True) for m in models)
        for layer, site in [(0, "residual"), (1, "residual"), (2, "final_norm")]:
            a, b = p.hidden_states[layer][0], q.hidden_states[layer][0]
            distance = 1 - torch.nn.functional.cosine_similarity(a, b, dim=-1).mean()
            assert examples.at("cosine_distance", [(layer, site)])[i] == pytest.approx(distance.item())
            size = b.norm(dim=-1).mean() / b.shape[1] ** 0.5
            assert examples.at("norm", [(layer, site)])[i] == pytest.approx(size.item())
        for layer in range(2):
            a, b = p.attentions[layer][0], q.attentions[layer][0]  # [H, T, T]
            ratio = torch.where(b > 0, b / a, 1).log()
            np.testing.assert_allclose(examples.heads["attention_kl"][i, layer], (b * ratio).sum(-1).mean(-1))
            entropy = -torch.where(b > 0, b * b.log(), 0).sum(-1)[:, 1:].mean(-1)
            np.testing.assert_allclose(examples.heads["entropy"][i, layer], entropy)


def test_batches_change_nothing(two, pairs):
    whole, neurons = compare(*two, pairs, batch_tokens=10_000)
    small, others = compare(*two, pairs, batch_tokens=1)
    same(whole, small, rtol=1e-4, atol=1e-6)
    for name, values in neurons.columns().items():
        np.testing.assert_allclose(values, others.columns()[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_examples_keep_to_themselves(two_precise, pairs):
    """Alone, in another order or beside longer ones, an example has the same numbers in the same heads."""
    together, _ = compare(*two_precise, pairs)
    order = torch.tensor([3, 0, 4, 2, 1])
    shuffled, _ = compare(*two_precise, pairs.subset(order))
    for row, i in enumerate(order.tolist()):
        alone, _ = compare(*two_precise, pairs.subset(torch.tensor([i])))
        for measure in HEAD_MEASURES:
            np.testing.assert_allclose(
                together.heads[measure][i], alone.heads[measure][0], rtol=1e-9, atol=1e-12
            )
            np.testing.assert_allclose(
                together.heads[measure][i], shuffled.heads[measure][row], rtol=1e-9, atol=1e-12
            )
        for measure in LAYER_MEASURES:
            np.testing.assert_allclose(
                together.layers[measure][i], alone.layers[measure][0], rtol=1e-9, atol=1e-12
            )


def test_swapping_the_models_swaps_what_is_theirs(two_precise, pairs):
    there, _ = compare(*two_precise, pairs)
    back, _ = compare(*reversed(two_precise), pairs)
    np.testing.assert_allclose(there.heads["attention_kl"], back.heads["attention_kl_reverse"])
    np.testing.assert_allclose(there.heads["entropy"], back.heads["entropy_base"])
    np.testing.assert_allclose(there.layers["rsa"], back.layers["rsa"])
    np.testing.assert_allclose(there.layers["mean_absolute"], back.layers["mean_absolute_base"])


def test_half_precision_is_measured_in_single(folders, two, pairs):
    half = [load(folder, dtype=torch.bfloat16) for folder in folders]
    rough, neurons = compare(*half, pairs)
    exact, _ = compare(*two, pairs)
    for measure in ("norm", "cosine_distance", "centred_cosine_distance"):
        np.testing.assert_allclose(rough.layers[measure], exact.layers[measure], rtol=0.05, atol=0.02)
    np.testing.assert_allclose(rough.heads["entropy"], exact.heads["entropy"], rtol=0.1)
    same, _ = compare(half[0], half[0], pairs)
    assert (same.heads["attention_kl"] == 0).all() and (same.heads["attention_js"] == 0).all()


def test_only_changed_heads_change(folders, two, pairs, tmp_path):
    """The query weights of head 1 of the first layer are changed: no other head of that layer moves."""
    model = GPT2LMHeadModel.from_pretrained(folders[0])
    with torch.no_grad():
        model.transformer.h[0].attn.c_attn.weight[:, 8:16] *= 3
    model.save_pretrained(tmp_path)
    examples, _ = compare(two[0], load(tmp_path), pairs)
    moved = (examples.heads["attention_kl"] > 0).all(axis=0)
    assert moved.tolist() == [[False, True], [True, True]]
    assert (examples.at("cosine_distance", [(0, "residual")]) == 0).all()
    assert (examples.at("norm", [(0, "mlp_out")]) != examples.at("norm_base", [(0, "mlp_out")])).all()


SHAPES = {
    "width": ({"n_embd": 32}, "width 32, head width 16.*expected width 16, head width 8"),
    "layers": ({"n_layer": 3}, "layers 3; expected layers 2"),
    "heads": ({"n_head": 4}, "heads 4.*expected heads 2"),
    "neurons": ({"n_inner": 24}, "neurons a layer 24; expected neurons a layer 64"),
    "vocabulary": ({"vocab_size": 31}, "vocabulary 31; expected vocabulary 30"),
    "positions": ({"n_positions": 32}, r"W_pos \[32, 16\]; expected W_pos \[16, 16\]$"),
    "unembedding": ({"tie_word_embeddings": False}, r"W_U \[30, 16\]; expected W_U absent$"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_a_checkpoint_of_another_shape_is_refused(case, make_model, two, pairs, tmp_path):
    options, message = SHAPES[case]
    other = load(make_model(tmp_path, 0, **options))
    with pytest.raises(InputError, match=rf"^mine: its shape is not that of base: {message}"):
        compare(two[0], other, pairs, names=("base", "mine"))


def test_examples_that_do_not_fit_are_refused(make_model, tmp_path):
    tokens = torch.zeros(1, 14, dtype=torch.long)
    short = load(make_model(tmp_path, 0, n_positions=12))
    with pytest.raises(InputError, match="14 tokens do not fit the model's context of 12"):
        compare(short, short, TokenPairs(tokens, tokens))


BROKEN = {
    "mlp bias": (lambda t: t.h[0].mlp.c_proj.bias, r"layer 0 \(mlp_out\)", "one"),
    "attention": (lambda t: t.h[1].attn.c_proj.bias, r"layer 1 \(attention_out\)", "one"),
    "embedding": (lambda t: t.wpe.weight[11], r"layer 0 \(residual\)", "one"),  # the longest examples alone
    "hidden units": (lambda t: t.h[1].mlp.c_fc.bias, r"layer 1 \(mlp_neurons\)", "one"),
    "final norm": (lambda t: t.ln_f.bias, r"layer 2 \(final_norm\)", "one"),
}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("case", BROKEN)
def test_activations_that_are_not_finite_are_named(case, value, folders, two, pairs, tmp_path):
    parameter, where, _ = BROKEN[case]
    model = GPT2LMHeadModel.from_pretrained(folders[0])
    with torch.no_grad():
        parameter(model.transformer)[0] = value
    model.save_pretrained(tmp_path)
    ids = ["one", "two", "three", "four", "five"]
    first = {"embedding": "one"}.get(case, "five")  # the batch of the shortest comes first
    for names, models in ((("p", "q"), (two[0], load(tmp_path))), (("q", "p"), (load(tmp_path), two[0]))):
        with pytest.raises(
            InputError, match=rf"^q: activations of {where} are not finite in example {first}$"
        ):
            compare(*models, pairs, ids, names, batch_tokens=1)


@pytest.mark.parametrize(
    "sizes", [(1e20, 1e20), (1e20, -1e20), (1e16, -1e16), (float("nan"), 1.0), (1.0, float("inf"))]
)
def test_a_head_that_attends_to_nothing_is_named(sizes, folders, two, pairs, tmp_path):
    """Scores of the second block's head 1 that overflow, or are as low as a future key's: never a number, never a null."""
    model = GPT2LMHeadModel.from_pretrained(folders[0])
    with torch.no_grad():
        for part, size in enumerate(sizes):  # queries, keys: [3 D], head 1 has the second 8 of each D
            model.transformer.h[1].attn.c_attn.bias[16 * part + 8 : 16 * part + 16] = size
    model.save_pretrained(tmp_path)
    ids = ["one", "two", "three", "four", "five"]
    message = r"^q: attention scores of layer 1, head 1 are not finite or beyond 1e\+30 in example"
    for names, models in ((("p", "q"), (two[0], load(tmp_path))), (("q", "p"), (load(tmp_path), two[0]))):
        with pytest.raises(InputError, match=rf"{message} one$"):
            compare(*models, pairs, ids, names)
        with pytest.raises(InputError, match=rf"{message} five$"):  # the batch of the shortest comes first
            compare(*models, pairs, ids, names, batch_tokens=1)
