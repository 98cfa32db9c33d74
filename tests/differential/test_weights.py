import pytest
import torch
from circuits.random_models import save_random_model
from transformers import AutoModelForCausalLM

from rewire.differential.weights import weight_changes
from rewire.models import load


def rows_of(base, tuned):
    return {(row["layer"], row["matrix"]): row for row in weight_changes(load(base), load(tuned))}


def test_changes_are_those_of_the_matrices(tmp_path):
    folder = save_random_model(tmp_path / "base", "gpt2")
    model = AutoModelForCausalLM.from_pretrained(folder)
    fused = model.transformer.h[1].attn.c_attn.weight  # [D, 3D]: queries, keys, values
    with torch.no_grad():
        fused[:, 16:32] += 0.5
        model.transformer.h[2].mlp.c_fc.weight *= 2
    model.save_pretrained(tmp_path / "tuned")
    rows = rows_of(folder, tmp_path / "tuned")
    assert rows[1, "W_K"]["change"] == pytest.approx(0.5 * 16) and rows[2, "W_in"][
        "relative"
    ] == pytest.approx(1)
    changed = {place for place, row in rows.items() if row["change"] > 0}
    assert changed == {(1, "W_K"), (2, "W_in")}
    names = {"W_Q", "W_K", "W_V", "W_O", "W_in", "W_out"}
    assert set(rows) == {(None, "W_E"), (None, "W_pos")} | {(layer, n) for layer in range(3) for n in names}
    embedding = model.transformer.wte.weight
    assert rows[None, "W_E"]["norm_base"] == pytest.approx(embedding.norm().item(), rel=1e-5)


def test_gated_models_with_shared_keys_and_an_unembedding_of_their_own(tmp_path):
    folder = save_random_model(tmp_path / "base", "llama")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight += 1
        model.model.layers[0].mlp.gate_proj.weight += 1
        model.model.layers[
            1
        ].self_attn.k_proj.weight += 1  # two key-value heads of width 4: once, not per query head
    model.save_pretrained(tmp_path / "tuned")
    rows = rows_of(folder, tmp_path / "tuned")
    changed = {place: row["change"] for place, row in rows.items() if row["change"] > 0}
    assert changed == {
        (0, "W_gate"): pytest.approx((16 * 24) ** 0.5),
        (1, "W_K"): pytest.approx((16 * 8) ** 0.5),
        (None, "W_U"): pytest.approx((16 * 50) ** 0.5),
    }
