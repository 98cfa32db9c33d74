"""The decomposition against Hugging Face's own forward, and against an independent implementation's activations."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from rewire.errors import InputError
from rewire.models import load
from rewire.residual import check_against_model


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


SHAPE = {
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "hidden_size": 32,
    "intermediate_size": 48,
    "vocab_size": 50,
    "max_position_embeddings": 32,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
GROUPED = SHAPE | {"num_key_value_heads": 2}
SUPPORTED = {
    "gpt_neox": SHAPE,
    "llama": GROUPED,
    "qwen2": GROUPED,
    "mistral": GROUPED | {"sliding_window": None},
}
REFUSED = {
    "qwen3": (GROUPED | {"head_dim": 8}, "Qwen3ForCausalLM.*normalises queries and keys"),
    "olmo2": (SHAPE, "Olmo2ForCausalLM.*no norm before"),
    "gemma2": (GROUPED | {"head_dim": 8}, "Gemma2ForCausalLM.*not a sum"),
}


def random_model(folder, kind, options):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **options))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return model.double().eval()


@pytest.mark.parametrize("kind", SUPPORTED)
def test_other_architectures_give_the_models_own_logits(kind, tmp_path):
    model = random_model(tmp_path, kind, SUPPORTED[kind])
    stream = load(tmp_path, dtype=torch.float64).stream
    tokens = torch.randint(0, 50, (2, 12), generator=torch.Generator().manual_seed(1))
    for start in (0, 5):
        # transformers computes RMSNorm in float32 whatever the model is in
        torch.testing.assert_close(
            logits(stream, tokens, start), model(tokens).logits[:, start:], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("kind", REFUSED)
def test_architectures_that_are_no_sum_are_refused_by_name(kind, tmp_path):
    options, message = REFUSED[kind]
    random_model(tmp_path, kind, options)
    with pytest.raises(InputError, match=message):
        _ = load(tmp_path).stream


def test_a_model_that_the_sum_does_not_reproduce_is_refused(folder):
    model = load(folder)
    stream = model.stream
    stream.weight_o[1] = stream.weight_o[1] * 1.5
    with pytest.raises(InputError, match="GPT2LMHeadModel.*differs from the model's own logits"):
        check_against_model(stream)
