"""Batched patches against one hooked forward each, and the identities that patching has to keep."""

import pytest
import torch
from circuits.random_models import EVERY_ARCHITECTURE, save_random_model
from probes.hooks import Hooks
from transformer_lens import patching as patching_of_transformer_lens
from transformers import AutoConfig, AutoModelForCausalLM

from rewire.errors import InputError
from rewire.models import load
from rewire.probes.measures import Answers, TargetNll, measure_patches, measure_run
from rewire.probes.patches import COMPONENTS, HEADS, NONE, concatenate, every
from rewire.probes.patching import Patching
from rewire.probes.runs import Run

LENGTH = 7
CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # TransformerLens keeps what it measures in float32
START = torch.tensor([2, 4])  # first differing token of the two examples


def every_head_its_own(folder, target):
    """A Llama or Qwen2 that shares keys and values between heads, as the same function without sharing."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    config = model.config
    repeats, width = (
        config.num_attention_heads // config.num_key_value_heads,
        config.hidden_size // config.num_attention_heads,
    )
    state = model.state_dict()
    for name, value in state.items():
        if ".k_proj." in name or ".v_proj." in name:
            state[name] = value.unflatten(0, (-1, width)).repeat_interleave(repeats, dim=0).flatten(0, 1)
    options = config.to_dict() | {"num_key_value_heads": config.num_attention_heads}
    whole = AutoModelForCausalLM.from_config(AutoConfig.for_model(**options))
    whole.load_state_dict(state)
    whole.save_pretrained(target)
    return target


class Case:
    """A random model in float64, two prompt pairs, and TransformerLens' hooks on them."""

    def __init__(self, kind, root):
        folder = save_random_model(root / "model", kind)
        self.model = load(folder, dtype=torch.float64)
        shared = EVERY_ARCHITECTURE[kind].get("num_key_value_heads")
        hooked = (
            load(every_head_its_own(folder, root / "whole"), dtype=torch.float64) if shared else self.model
        )
        generator = torch.Generator().manual_seed(5)
        self.clean = torch.randint(0, 50, (2, LENGTH), generator=generator)
        self.corrupted = self.clean.clone()
        for row, start in enumerate(START.tolist()):
            self.corrupted[row, start : start + 2] = (self.clean[row, start : start + 2] + 7) % 50
        self.runs = [Run(self.model.stream, tokens) for tokens in (self.clean, self.corrupted)]
        self.reading = Answers(torch.tensor([3, 8]), torch.tensor([4, 21]))
        self.hooks = Hooks(hooked.bridge, self.clean, self.corrupted, START)

    def patching(self, **options):
        return Patching(*self.runs, START, **options)

    def all_patches(self):
        """Every site, layer, head and position of both examples, all positions together too, and some neurons."""
        stream = self.model.stream
        layers, heads = range(stream.n_layers), range(stream.n_heads)
        positions = [NONE, *range(LENGTH)]
        return concatenate(
            [
                every([0, 1], COMPONENTS, layers, positions=positions),
                every([0, 1], HEADS, layers, heads, positions=positions),
                every([0, 1], ["neuron"], layers, neurons=[0, 5, 23], positions=positions),
            ]
        )


@pytest.fixture(scope="module", params=EVERY_ARCHITECTURE)
def case(request, tmp_path_factory):
    return Case(request.param, tmp_path_factory.mktemp("patching"))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return Case("gpt2", tmp_path_factory.mktemp("gpt2"))


def test_every_patch_is_a_hooked_forward(case):
    """z, q, k, v, patterns, neurons, residual stream and components, at one position and at all, by hand."""
    patches = case.all_patches()
    found = measure_patches(case.patching(), case.reading, patches, batch_tokens=200)
    rows = torch.randperm(len(patches), generator=torch.Generator().manual_seed(0))[:250]
    logits = torch.stack([case.hooks.logits(patches, int(row))[-1] for row in rows])
    example = patches.example[rows]
    answers = torch.stack([torch.tensor([3, 8])[example], torch.tensor([4, 21])[example]], dim=1)
    probabilities = logits.softmax(-1).gather(1, answers)
    difference = logits.gather(1, answers)
    expected = torch.cat([probabilities, difference[:, :1] - difference[:, 1:]], dim=1)
    # transformers computes RMSNorm in float32 whatever the model is in
    torch.testing.assert_close(found[rows], expected, rtol=2e-4, atol=2e-5)


def test_patching_a_run_with_itself_changes_nothing(case):
    patches = case.all_patches()
    same = Patching(case.runs[1], case.runs[1], START)
    own = measure_run(same, case.reading, "recipient")[patches.example]
    torch.testing.assert_close(measure_patches(same, case.reading, patches), own, rtol=1e-6, atol=1e-7)


def test_positions_before_the_first_difference_are_exactly_zero_and_not_run(case):
    patches = case.all_patches()
    patching = case.patching()
    before = (patches.position != NONE) & (patches.position < START[patches.example])
    corrupted = measure_run(patching, case.reading, "recipient")[patches.example]
    found = measure_patches(patching, case.reading, patches)
    assert before.any() and torch.equal(found[before], corrupted[before])
    run = torch.cat([rows for rows, _ in patching.finals(patches)])
    assert sorted(run.tolist()) == (~before).nonzero().squeeze(1).tolist()
    assert list(patching.finals(patches.at(before))) == []


def test_what_restores_the_clean_run(case):
    """The last layer's residual stream at the last position; all positions before the first layer."""
    last = case.model.stream.n_layers - 1
    patches = concatenate(
        [
            every([0, 1], ["residual_post"], [last], positions=[LENGTH - 1]),
            every([0, 1], ["residual_pre"], [0]),
        ]
    )
    clean = measure_run(case.patching(), case.reading, "donor")[patches.example]
    found = measure_patches(case.patching(), case.reading, patches)
    torch.testing.assert_close(found, clean, rtol=1e-6, atol=1e-7)
    logits = case.hooks.clean_logits[:, -1]
    for rows, final in case.patching().finals(patches):
        expected = logits[patches.example[rows]]
        torch.testing.assert_close(case.model.stream.logits(final[:, -1]), expected, rtol=2e-4, atol=2e-5)


def test_batches_change_nothing(case):
    patches = case.all_patches()
    one, many = (measure_patches(case.patching(), case.reading, patches, n) for n in (1, 100_000))
    torch.testing.assert_close(one, many, rtol=1e-6, atol=1e-8)


def test_patches_that_do_not_fit_in_memory_are_run_in_parts(case, monkeypatch, caplog):
    patches = case.all_patches()
    expected = measure_patches(case.patching(), case.reading, patches)
    tried = []
    whole = Patching._run

    def cramped(self, part, enter, window):
        tried.append(len(part))
        if len(part) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, part, enter, window)

    monkeypatch.setattr(Patching, "_run", cramped)
    found = measure_patches(case.patching(), case.reading, patches)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    assert max(tried) > 10 and "patching: patch: " in caplog.text and "do not fit in memory" in caplog.text
    monkeypatch.setattr(Patching, "_run", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(InputError, match="alone does not fit in memory"):
        measure_patches(case.patching(), case.reading, patches)


def test_several_positions_are_read(case):
    """The NLL of three targets under a patch of one position, also one that lies after the first of them is read."""
    targets = case.clean[:, -3:]
    reading = TargetNll(targets)
    patches = concatenate(
        [
            every(
                [0, 1],
                ["residual_pre", "mlp_out"],
                range(case.model.stream.n_layers),
                positions=[NONE, 4, 5, 6],
            )
        ]
    )
    found = measure_patches(case.patching(reads=3), reading, patches)
    logits = torch.stack([case.hooks.logits(patches, row)[-3:] for row in range(len(patches))])
    log_p = logits.log_softmax(-1).gather(2, targets[patches.example][..., None]).squeeze(2)
    torch.testing.assert_close(found[:, 0], -log_p.mean(dim=1), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_measured_in_float32(dtype, tmp_path):
    """Rounding of activations alone is left: as much as the two runs' own measures have of it."""
    folder = save_random_model(tmp_path, "gpt2")
    patches = every([0, 1], ["residual_pre", "mlp_out"], range(3), positions=range(LENGTH))
    clean = torch.randint(0, 50, (2, LENGTH), generator=torch.Generator().manual_seed(5))
    corrupted = clean.clone()
    corrupted[:, 4:6] = (clean[:, 4:6] + 7) % 50
    reading, found = Answers(torch.tensor([3, 8]), torch.tensor([4, 21])), []
    for precision in (dtype, torch.float64):
        stream = load(folder, dtype=precision).stream
        patching = Patching(Run(stream, clean), Run(stream, corrupted), torch.tensor([4, 4]))
        found.append(measure_patches(patching, reading, patches))
    assert found[0].dtype == torch.float64 and torch.isfinite(found[0]).all()
    tolerance = {torch.bfloat16: 0.1, torch.float16: 0.01}[dtype]
    difference = (found[0] - found[1])[:, 2]
    assert difference.norm() < tolerance * found[1][:, 2].norm()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": [9]}, "layer 9 is out of range: there are 3, from 0"),
        ({"sites": ["z"], "heads": [2]}, "head 2 is out of range: there are 2"),
        ({"sites": ["neuron"], "neurons": [64]}, "neuron 64 is out of range: there are 64"),
        ({"positions": [7]}, "position 7 is out of range: there are 7"),
        ({"sites": ["z"]}, "a patch of z needs head"),
        ({"heads": [1]}, "a patch of mlp_out takes no head"),
        ({"neurons": [1]}, "a patch of mlp_out takes no neuron"),
        ({"sites": ["mid"]}, "site 'mid' is not one of residual_pre, .*neuron"),
    ],
)
def test_what_is_out_of_range_is_named(options, message, tmp_path):
    case = Case("gpt2", tmp_path)
    with pytest.raises(InputError, match=message):
        list(
            case.patching().finals(
                every(**({"examples": [0], "sites": ["mlp_out"], "layers": [0]} | options))
            )
        )


@pytest.mark.parametrize(
    ("published", "site", "heads", "positions"),
    [
        ("resid_pre", "residual_pre", False, True),
        ("attn_out", "attention_out", False, True),
        ("mlp_out", "mlp_out", False, True),
        ("attn_head_out_by_pos", "z", True, True),
        ("attn_head_out_all_pos", "z", True, False),
        ("attn_head_q_all_pos", "q", True, False),
        ("attn_head_k_all_pos", "k", True, False),
        ("attn_head_v_all_pos", "v", True, False),
        ("attn_head_pattern_all_pos", "pattern", True, False),
    ],
)
def test_transformer_lens_patches_the_same(gpt2, published, site, heads, positions):
    """Its own functions for activation patching, on both examples together, layer by position by head."""
    _, cache = gpt2.model.bridge.run_with_cache(gpt2.clean)
    example = torch.arange(2)

    def difference(logits):
        correct, incorrect = (logits[example, -1, answers] for answers in ([3, 8], [4, 21]))
        return (correct - incorrect).mean()

    patch = getattr(patching_of_transformer_lens, f"get_act_patch_{published}")
    expected = patch(gpt2.model.bridge, gpt2.corrupted, cache, difference)  # [L, T], [L, H] or [L, T, H]
    assert expected.std() > 1e-4
    stream = gpt2.model.stream
    places = {"positions": range(LENGTH)} if positions else {}
    every_head = [range(stream.n_heads)] if heads else []
    patches = every([0, 1], [site], range(stream.n_layers), *every_head, **places)
    found = measure_patches(gpt2.patching(), gpt2.reading, patches, batch_tokens=200)[:, 2]
    for layer in range(stream.n_layers):
        for head in range(stream.n_heads) if heads else [NONE]:
            for position in range(LENGTH) if positions else [NONE]:
                own = (patches.layer == layer) & (patches.head == head) & (patches.position == position)
                place = [layer, *[position] * positions, *[head] * heads]
                assert own.sum() == 2
                torch.testing.assert_close(found[own].mean(), expected[tuple(place)].double(), **CLOSE)
