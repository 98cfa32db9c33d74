"""Prompts as tokens: where labels are, and what a pair that cannot be read says."""

from types import SimpleNamespace

import pytest
import torch
from test_token_strings import BOS, PLAIN, VOCABULARY
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordPiece
from transformers import PreTrainedTokenizerFast

from rewire.errors import InputError
from rewire.models import Model
from rewire.probes.prompts import encode_study
from rewire.probes.studies import PromptPair, Study

WORDS = len(VOCABULARY)


def model(tokenizer, words=WORDS, context=20):
    """What encoding asks of a model."""
    bridge = SimpleNamespace()
    made = Model(bridge, tokenizer)
    made.__dict__["stream"] = SimpleNamespace(embedding=torch.empty(words, 1), context=context)
    return made


def study(encoding="text", **changes):
    texts = {
        "clean": "Ann met the dog .",
        "corrupted": "Bob met the dog .",
        "correct": "Ann",
        "incorrect": "Bob",
    }
    positions = changes.pop("positions", {})
    ends = changes.pop("ends", {})
    pair = PromptPair("x", "all", 1, **(texts | changes), ends=ends, positions=positions)
    return Study("s.yaml", encoding, [pair])


def ids(text):
    return [VOCABULARY[word] for word in text.split()]


def test_texts_are_tokens_and_labels_their_last_token():
    prompts = encode_study(study(ends={"animal": (15, 15), "verb": (6, 6)}), model(PLAIN))
    assert prompts.clean[0].tolist() == ids("Ann met the dog .")
    assert prompts.labels == [{"animal": 3, "verb": 1, "difference": 0, "last": 4}]
    assert (prompts.correct.tolist(), prompts.start.tolist()) == (ids("Ann"), [0])
    assert prompts.spelled["corrupted"][0][0] == "Bob" and prompts.spell([3]) == ["Ann"]


def test_the_beginning_token_moves_every_position():
    prompts = encode_study(study(ends={"verb": (6, 6)}, positions={"object": 3}), model(BOS))
    assert prompts.clean[0].tolist() == [VOCABULARY["<s>"], *ids("Ann met the dog .")]
    assert prompts.labels == [{"verb": 2, "object": 4, "difference": 1, "last": 5}]


def test_token_strings_and_token_ids():
    as_strings = encode_study(study("pieces"), model(PLAIN))
    numbers = {"clean": "3 6 7 9", "corrupted": "4 6 7 9", "correct": "3", "incorrect": "4"}
    as_ids = encode_study(study("ids", **numbers, ends={"second": (3, 3)}), model(None))
    assert as_strings.clean[0].tolist() == ids("Ann met the dog .")
    assert as_ids.clean[0].tolist() == [3, 6, 7, 9] and as_ids.labels[0]["second"] == 1
    assert as_ids.spell([3, 10]) == ["3", "10"]


def test_prompts_of_one_length_come_together():
    texts = ["Ann met the dog .", "Ann met .", "Bob saw the cat .", "Ann saw ."]
    pairs = [
        PromptPair(str(i), "all", 1, text, text.replace("Ann", "dog").replace("Bob", "dog"), "Ann", "Bob")
        for i, text in enumerate(texts)
    ]
    prompts = encode_study(Study("s", "text", pairs), model(PLAIN))
    assert [batch.tolist() for batch in prompts.batches(100)] == [[1, 3], [0, 2]]
    assert [batch.tolist() for batch in prompts.batches(5)] == [[1], [3], [0], [2]]
    assert prompts.tokens("clean", torch.tensor([1, 3])).shape == (2, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"corrupted": "Bob met the big dog ."},
            r"5 clean tokens \['Ann', 'met', 'the', 'dog', '\.'\], 6 corrupted tokens \['Bob', 'met', 'the', '<unk>', 'dog'",
        ),
        ({"correct": "Ann Bob"}, r"correct answer 'Ann Bob' is 2 tokens \['Ann', 'Bob'\], expected one"),
        ({"incorrect": ""}, r"incorrect answer '' is 0 tokens \[\], expected one"),
        ({"incorrect": "Zoe"}, "incorrect answer 'Zoe' is not in the tokenizer's vocabulary"),
        ({"corrupted": "Ann met the dog ."}, "clean and corrupted are the same tokens"),
        ({"incorrect": "Ann"}, "both answers are 'Ann'"),
        ({"positions": {"verb": 5}}, "position 'verb' is token 5 of 5"),
        ({"positions": {"last": 2}}, "every prompt has a position 'last'; name yours otherwise"),
        ({"ends": {"x": (3, 7)}}, "'x' is token 0 in the clean text, 1 in the corrupted"),
        (
            {"encoding": "pieces", "correct": "Zoe"},
            "correct answer: 'Zoe' is not in the tokenizer's vocabulary",
        ),
        ({"encoding": "ids"}, r"clean: 'Ann' is not in the vocabulary, the model has token ids 0\.\.10"),
        (
            {"encoding": "ids", "clean": "1 2", "corrupted": "1 99"},
            "corrupted: '99' is not in the vocabulary",
        ),
    ],
)
def test_pairs_that_cannot_be_read_are_named(changes, message):
    with pytest.raises(InputError, match=rf"^s.yaml: pair x.*{message}") as error:
        encode_study(study(**changes), model(PLAIN))
    assert "\n" not in str(error.value)


def test_what_the_model_cannot_read():
    with pytest.raises(InputError, match="the model has no tokenizer"):
        encode_study(study(), model(None))
    with pytest.raises(InputError, match="5 tokens do not fit the model's context of 4"):
        encode_study(study(), model(PLAIN, context=4))
    with pytest.raises(InputError, match="token 10, the model has 8"):
        encode_study(study(), model(PLAIN, words=8))
    twice = study()
    twice.pairs.append(twice.pairs[0])
    with pytest.raises(InputError, match="two pairs have the same id"):
        encode_study(twice, model(PLAIN))


def test_a_label_that_does_not_exist_is_named():
    prompts = encode_study(study(ends={"verb": (6, 6)}), model(PLAIN))
    prompts.check_labels(["verb", "last"])
    with pytest.raises(
        InputError, match="position 'pronoun' is declared by no prompt; there are difference, last, verb"
    ):
        prompts.check_labels(["pronoun"])


def subwords(spaced):
    """A BPE tokenizer that spells a space as ▁; ``spaced``: what puts one before every text by itself, as Llama's do."""
    words = ["<unk>", *"▁?abc", "▁?", "▁a", "▁b", "bc", "ab"]
    merges = [("▁", "?"), ("▁", "a"), ("▁", "b"), ("b", "c"), ("a", "b")]
    made = Tokenizer(BPE({word: i for i, word in enumerate(words)}, merges, unk_token="<unk>"))
    if spaced == "metaspace":
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


@pytest.mark.parametrize("spaced", ["metaspace", "prepend"])
class TestAnswersInContext:
    def encoded(self, spaced, clean, corrupted, correct, incorrect):
        tokenizer = subwords(spaced)
        texts = {"clean": clean, "corrupted": corrupted, "correct": correct, "incorrect": incorrect}
        prompts = encode_study(study(**texts), model(tokenizer))
        return [prompts.spell(answer.tolist())[0] for answer in (prompts.correct, prompts.incorrect)]

    def test_an_answer_is_the_token_that_it_adds(self, spaced):
        assert self.encoded(spaced, "a c", "b c", "?", "a") == ["?", "a"]
        assert self.encoded(spaced, "a c", "b c", " ?", " a") == ["▁?", "▁a"]
        assert self.encoded(spaced, "a c", "b c", "a", " a") == ["a", "▁a"]

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (
                ("a ", "b ", "b", "?"),
                r"correct answer 'b' changes the tokens of clean \['▁a', '▁'\] to \['▁a', '▁b'\]",
            ),
            (
                ("ca", "cc", "?", "b"),
                r"incorrect answer 'b' changes the tokens of clean \['▁', 'c', 'a'\] to \['▁', 'c', 'ab'\]",
            ),
            (("a c", "b c", "?", "??"), r"incorrect answer '\?\?' is 2 tokens \['\?', '\?'\], expected one"),
            (("a c", "b c", "?", ""), r"incorrect answer '' is 0 tokens"),
            (("a c", "b c", "x", "?"), "correct answer 'x' is not in the tokenizer's vocabulary"),
        ],
    )
    def test_an_answer_that_is_no_one_token_there_is_named(self, spaced, texts, message):
        with pytest.raises(InputError, match=rf"^s.yaml: pair x: {message}"):
            self.encoded(spaced, *texts)


def test_an_answer_is_the_same_token_after_both_prompts():
    """A tokenizer that spells what stands inside a word otherwise."""
    words = {word: i for i, word in enumerate(["<unk>", "a", "##a", "b", "."])}
    made = Tokenizer(WordPiece(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")
    texts = {"clean": "b .", "corrupted": "b b", "correct": "a", "incorrect": "."}
    message = r"correct answer 'a' is not one token: \['a'\] after clean, \['##a'\] after corrupted"
    with pytest.raises(InputError, match=message):
        encode_study(study(**texts), model(tokenizer))
