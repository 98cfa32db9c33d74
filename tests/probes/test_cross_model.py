"""One model with another's activations: identities, a merge by hand, and the NLL of targets."""

import numpy as np
import pandas as pd
import pytest
import torch

from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import TokenPairs
from rewire.probes.cross_model import cross_patch, cross_summary, prompt_examples, summary_examples

COMPONENTS, HEADS = ["residual_post", "attention_out", "mlp_out"], ["z", "pattern"]


@pytest.fixture(scope="module")
def articles():
    generator = torch.Generator().manual_seed(0)
    clean = torch.randint(0, 200, (6, 14), generator=generator)
    return TokenPairs(clean, clean, torch.tensor([14, 9, 14, 12, 9, 11]), torch.tensor([3, 2, 3, 4, 2, 3]))


@pytest.fixture(scope="module")
def frame(base, final, articles):
    examples = list(summary_examples([f"art-{i}" for i in range(6)], articles))
    return cross_patch(base, final, examples, COMPONENTS, HEADS, batch_tokens=60)


def nll(logits, tokens, targets):
    """By hand: mean over the last tokens, each read one position earlier."""
    log_p = logits.log_softmax(-1)[-targets - 1 : -1]
    return float(-log_p.gather(1, tokens[-targets:, None]).mean())


def test_ends_are_the_models_own_nll(frame, base, final, articles):
    for i in range(6):
        tokens = articles.clean[i, : articles.lengths[i]]
        own = frame[frame["id"] == f"art-{i}"]
        for column, model in (("base", base), ("finetuned", final)):
            with torch.no_grad():
                logits = model.bridge.original_model(tokens[None]).logits[0]
            expected = nll(logits, tokens, int(articles.target_tokens[i]))
            np.testing.assert_allclose(own[column], expected, rtol=1e-9)


def test_patched_runs_by_hooks(frame, base, final, articles):
    """The base with one layer's MLP, and with one head, of the fine-tuned model, and the other way round."""
    for direction, recipient, donor in (("into-base", base, final), ("into-finetuned", final, base)):
        for site, hook, head in (
            ("mlp_out", "blocks.1.mlp.hook_out", None),
            ("z", "blocks.1.attn.o.hook_in", 1),
        ):
            tokens = articles.clean[0]
            kept = {}
            donor.bridge.run_with_hooks(
                tokens[None], fwd_hooks=[(hook, lambda x, hook, kept=kept: kept.update(x=x.clone()))]
            )

            def patch(x, hook, head=head, kept=kept):
                out = kept["x"].clone()
                if head is not None:
                    out = x.clone()  # [1, T, H, E]
                    out[:, :, head] = kept["x"][:, :, head]
                return out

            with torch.no_grad():
                logits = recipient.bridge.run_with_hooks(tokens[None], fwd_hooks=[(hook, patch)])[0]
            own = frame[
                (frame["id"] == "art-0") & (frame["direction"] == direction) & (frame["site"] == site)
            ]
            own = own[(own["layer"] == 1) & (own["head"].isna() if head is None else own["head"] == head)]
            assert own["patched"].item() == pytest.approx(nll(logits, tokens, 3), rel=1e-8)


def test_the_last_layers_residual_stream_leaves_only_the_readout(base, frame, articles, final):
    """With all of the donor's residual stream the recipient only unembeds: its own final norm and unembedding."""
    whole = frame[
        (frame["site"] == "residual_post") & (frame["layer"] == 1) & (frame["direction"] == "into-base")
    ]
    tokens = articles.clean[0]
    trace = final.stream.run(final.stream.embed(tokens[None]), 0, None)
    expected = nll(base.stream.logits(trace.final)[0], tokens, 3)
    assert whole["patched"].iloc[0] == pytest.approx(expected, rel=1e-9)


def test_a_model_with_its_own_activations_is_itself(base, articles, prompts):
    for examples in (list(summary_examples(list("abcdef"), articles)), list(prompt_examples(prompts))):
        frame = cross_patch(base, base, examples, COMPONENTS, HEADS)
        np.testing.assert_allclose(frame["patched"], frame["base"], rtol=1e-9, atol=1e-12)
        rows = pd.DataFrame(cross_summary(frame, ["all"] * len(examples)))
        assert rows["recovered_low"].isna().all()  # what is shared out is nothing


def test_shares_are_ratios_of_means(frame):
    rows = pd.DataFrame(cross_summary(frame, ["x", "y"] * 3))
    assert set(rows["group"]) == {"all", "x", "y"} and set(rows["n"]) == {6, 3}
    cell = rows[(rows["group"] == "all") & (rows["site"] == "mlp_out") & (rows["layer"] == 0)].set_index(
        "direction"
    )
    own = frame[(frame["site"] == "mlp_out") & (frame["layer"] == 0)].groupby("direction")[
        ["base", "finetuned", "patched"]
    ]
    means = own.mean()
    for direction, start, end in (
        ("into-base", "base", "finetuned"),
        ("into-finetuned", "finetuned", "base"),
    ):
        m = means.loc[direction]
        expected = (m["patched"] - m[start]) / (m[end] - m[start])
        assert cell.loc[direction, "recovered"] == pytest.approx(expected)
        assert cell.loc[direction, "patched"] == pytest.approx(m["patched"])


def test_prompt_pairs_have_three_measures(base, final, prompts):
    frame = cross_patch(base, final, list(prompt_examples(prompts)), ["residual_post"], [])
    assert set(frame["measure"]) == {"p_correct", "p_incorrect", "logit_diff"}
    assert len(frame) == len(prompts) * 2 * 2 * 3


def test_what_cross_model_patches_refuse(base, final, prompts, tmp_path, two_folders):
    from transformers import GPT2Config, GPT2LMHeadModel

    examples = list(prompt_examples(prompts))[:1]
    with pytest.raises(InputError, match="site 'neuron' is not one of residual_pre"):
        cross_patch(base, final, examples, ["neuron"], [])
    config = GPT2Config.from_pretrained(two_folders[0])
    config.n_layer = 3
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"base and fine-tuned differ in shape .*: \(2, 2, 16"):
        cross_patch(base, load(tmp_path), examples, COMPONENTS, HEADS)
