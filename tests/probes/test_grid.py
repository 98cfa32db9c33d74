"""The patch grid as a table: what its columns say, and the means over prompts."""

import numpy as np
import pandas as pd
import pytest
import torch
from probes.conftest import SETTINGS

from rewire.errors import InputError
from rewire.probes.grid import EFFECTS, grid_summary, patch_grid, prompt_rows


@pytest.fixture(scope="module")
def grid(base, prompts):
    return patch_grid(base, prompts, SETTINGS)


def test_a_row_for_every_prompt_site_layer_and_position(grid, base, prompts):
    frame, _ = grid
    assert list(dict.fromkeys(frame["id"])) == prompts.ids
    for number, tokens in enumerate(prompts.clean):
        own = frame[frame["number"] == number]
        components = own[own["head"].isna()]
        whole = components[components["position"].isna()]
        assert set(whole["site"]) == {"attention_out", "mlp_out"} and len(whole) == 2 * 2
        components = components[components["position"].notna()]
        assert len(components) == 4 * 2 * len(tokens)
        heads = own[own["head"].notna()]
        assert (
            len(heads) == 5 * 2 * 2 * 2
            and (heads["position"].isna() | (heads["position"] == len(tokens) - 1)).all()
        )
        for row in components.itertuples():
            assert row.token == prompts.spelled["clean"][number][row.position]


def test_effects_are_differences_from_the_two_runs(grid, base, prompts):
    frame, ends = grid
    model = base.bridge.original_model
    for number in range(len(prompts)):
        tokens = torch.stack([prompts.clean[number], prompts.corrupted[number]])
        with torch.no_grad():
            logits = model(tokens).logits[:, -1]
        answers = torch.stack([prompts.correct[number], prompts.incorrect[number]])
        p, chosen = logits.softmax(-1)[:, answers].numpy(), logits[:, answers].numpy()
        for side, row in (("clean", 0), ("corrupted", 1)):
            np.testing.assert_allclose(
                ends[side][number], [*p[row], chosen[row, 0] - chosen[row, 1]], rtol=1e-8
            )
        own = frame[frame["number"] == number]
        np.testing.assert_allclose(own["correct_from_clean"], own["p_correct"] - p[0, 0], atol=1e-10)
        np.testing.assert_allclose(own["correct_from_corrupted"], own["p_correct"] - p[1, 0], atol=1e-10)
        np.testing.assert_allclose(own["incorrect_from_clean"], own["p_incorrect"] - p[0, 1], atol=1e-10)
        np.testing.assert_allclose(own["incorrect_from_corrupted"], own["p_incorrect"] - p[1, 1], atol=1e-10)
        differences = chosen[:, 0] - chosen[:, 1]
        share = (own["logit_diff"] - differences[1]) / (differences[0] - differences[1])
        np.testing.assert_allclose(own["recovered"], share, atol=1e-8)


def test_the_corners_of_the_grid(grid, prompts):
    """Nothing before the first difference, everything at the last layer's last position."""
    frame, _ = grid
    start = prompts.start.numpy()[frame["number"]]
    before = frame[(frame["position"] < start).fillna(False).to_numpy(dtype=bool)]
    assert len(before) and (
        before[["correct_from_corrupted", "incorrect_from_corrupted", "recovered"]] == 0
    ).all(axis=None)
    last = [len(prompts.clean[i]) - 1 for i in frame["number"]]
    whole = frame[(frame["site"] == "residual_post") & (frame["layer"] == 1) & (frame["position"] == last)]
    assert len(whole) == len(prompts)
    np.testing.assert_allclose(whole["recovered"], 1, atol=1e-9)
    np.testing.assert_allclose(whole["correct_from_clean"], 0, atol=1e-12)


def test_means_by_group_and_label(grid, prompts):
    """Every mean by hand, from the rows of the prompts that have the label."""
    frame, ends = grid
    table = pd.DataFrame(grid_summary(frame, prompts, ends))
    assert set(table["group"]) == {"all", "Ashford", "Kendal"}
    assert set(table["place"].dropna()) == {"name", "town", "difference", "last"}
    group, at = np.array(prompts.groups), [labels["town"] for labels in prompts.labels]
    rows = frame[(frame["site"] == "mlp_out") & (frame["layer"] == 0)]
    chosen = rows[
        (rows["position"].to_numpy() == np.array(at)[rows["number"]]) & (group[rows["number"]] == "Kendal")
    ]
    cell = (
        (table["group"] == "Kendal")
        & (table["site"] == "mlp_out")
        & (table["layer"] == 0)
        & (table["place"] == "town")
    )
    found = table[cell].set_index("measure")
    assert found["n"].tolist() == [(group == "Kendal").sum()] * 5
    for name in EFFECTS:
        assert found["value"][name] == pytest.approx(chosen[name].mean(), abs=1e-12)
    clean, corrupted = (ends[side][chosen["number"], 2] for side in ("clean", "corrupted"))
    ratio = (chosen["logit_diff"].mean() - corrupted.mean()) / (clean.mean() - corrupted.mean())
    assert found["value"]["recovered"] == pytest.approx(ratio, abs=1e-9)
    heads = table[(table["site"] == "z") & table["place"].isna() & (table["group"] == "all")]
    assert len(heads) == 4 * 5 and (heads["n"] == len(prompts)).all()


def test_rows_of_the_prompts(grid, prompts):
    rows = list(prompt_rows(prompts, grid[1]))
    first = rows[0]
    assert first["clean"][first["positions"][first["labels"].index("town")]].strip("Ġ") in (
        "Ashford",
        "Kendal",
    )
    assert first["difference"] == int(prompts.start[0]) and first["correct"] == "Ġin"
    assert first["logit_diff_clean"] == grid[1]["clean"][0, 2]


def test_batches_change_nothing(grid, base, prompts):
    small, _ = patch_grid(base, prompts, SETTINGS | {"batch_tokens": 20})
    pd.testing.assert_frame_equal(small, grid[0], rtol=1e-9, atol=1e-12)


def test_what_the_grid_refuses(base, prompts):
    with pytest.raises(InputError, match="site 'mid' is not one of residual_pre"):
        patch_grid(base, prompts, SETTINGS | {"components": ["mid"]})
    with pytest.raises(InputError, match="site 'mlp_out' is not one of z, q, k, v, pattern"):
        patch_grid(base, prompts, SETTINGS | {"heads": ["mlp_out"]})
    with pytest.raises(InputError, match="position 'pronoun' is declared by no prompt"):
        patch_grid(base, prompts, SETTINGS | {"head_positions": ["pronoun"]})
    broken = base.stream.weight_o[1].clone()
    try:
        base.stream.weight_o[1].fill_(float("nan"))
        with pytest.raises(InputError, match=f"pair {prompts.ids[0]}: its clean run is not finite"):
            patch_grid(base, prompts, SETTINGS)
    finally:
        base.stream.weight_o[1].copy_(broken)
