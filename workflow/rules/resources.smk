"""What a job asks of its machine: threads, memory, minutes and a GPU, by one formula from the size of its model.

Rules say it in one line, `resources: **reading(...)`. `mem_mb` covers a run on the CPU, where activations share the
process's memory with everything else. Both it and `runtime` double with every attempt.
"""

import shutil
from math import ceil
from typing import NamedTuple

MB = 10**6
BASE = 1000 * MB  # Python, torch and transformers, before there is a model
DRIVER = 2000 * MB  # what the GPU's libraries add to it
FLOAT = 4  # bytes
# float32 copies of the weights that are held at once. Read: the model's own, the bridge's, those with norms folded in,
# and the file's while it is loaded. Compared: base and checkpoint. Trained: weights, gradients, two moments of AdamW,
# and what is loaded or saved
WEIGHTS_READ, WEIGHTS_COMPARED, WEIGHTS_TRAINED = 5, 10, 6
# floats a token that are held at once: widths of the model a layer, and logits of the whole vocabulary
BACKWARD, FORWARD = (30, 3), (10, 0)
RATE = 5e12  # floating-point operations a second: a data-centre GPU of an older make, used to a third
STARTING = 30  # minutes for starting, loading and writing
WORDS = 1000  # of a tokenizer made for tasks, more than it has
LONGEST = 2048  # tokens of an article with its summary, however long the context is


class Size(NamedTuple):
    """The numbers of a decoder-only transformer that memory and time depend on."""

    layers: int
    width: int
    heads: int
    inner: int
    context: int
    vocabulary: int
    matrices: int  # of an MLP: 2, with a gate 3
    tied: bool  # unembedding and embedding

    @property
    def parameters(self):
        """Without biases and norms."""
        block = 4 * self.width**2 + self.matrices * self.width * self.inner
        tables = (1 if self.tied else 2) * self.vocabulary + self.context
        return self.layers * block + tables * self.width

    @property
    def edges(self):
        """Sources times destinations; a causal model has half of them."""
        return (1 + self.layers * (self.heads + 1)) * (
            1 + self.layers * (3 * self.heads + 1)
        )

    @property
    def tokens(self):
        """Of the longest example."""
        return min(self.context, LONGEST)

    def activations(self, widths, logits):
        """Bytes a token: ``widths`` a layer, ``logits`` times the vocabulary, and four copies of a layer's attention."""
        attention = 4 * self.heads * self.tokens
        return FLOAT * (
            widths * self.layers * self.width + logits * self.vocabulary + attention
        )


def size_of(config, vocabulary=None):
    """Size by a transformers config (a dict, GPT-2's or the others' names); what it leaves out is GPT-2 small's."""

    def value(otherwise, *names):
        given = (config[name] for name in names if isinstance(config.get(name), int))
        return next(given, otherwise)

    width = value(768, "n_embd", "hidden_size", "d_model")
    like_gpt2 = config.get("model_type", "gpt2") == "gpt2"
    return Size(
        layers=value(12, "n_layer", "num_hidden_layers"),
        width=width,
        heads=value(12, "n_head", "num_attention_heads"),
        inner=value(4 * width, "n_inner", "intermediate_size"),
        context=value(1024, "n_positions", "max_position_embeddings"),
        vocabulary=vocabulary or value(50257, "vocab_size"),
        matrices=2 if like_gpt2 or config.get("model_type") == "gpt_neox" else 3,
        tied=config.get("tie_word_embeddings", like_gpt2),
    )


def described(model):
    """A model's config: its architecture, or the config.json of its folder or, if that is in the cache, of the Hub.

    Of an adapter that of the model below it.
    """
    entry = MODELS[model]
    if entry["source"] == "scratch":
        return entry["architecture"]
    return model_config(entry.get("path", entry.get("id")), entry.get("adapter"))


@lru_cache(maxsize=None)
def size(model):
    """A model of the catalogue, as far as its config is known."""
    entry = MODELS[model]
    words = None
    if entry["source"] == "scratch":
        tokenizer = entry["tokenizer"]
        words = tokenizer.get("vocabulary", WORDS)
        if "path" in tokenizer:
            words = len(content_of(expand_path(tokenizer["path"]), "vocab.json"))
    return size_of(described(model), words)


LARGE = 20e6  # parameters; what is smaller runs no faster for more threads


def threads_of(wildcards):
    """Threads of a job that runs a model: jobs of small models go side by side instead."""
    return 1 if size(wildcards.model).parameters < LARGE else 4


def training_threads(wildcards):
    """Threads of a training that others wait for."""
    return max(2, threads_of(wildcards))


def computing(declared):
    """Param: the threads to compute with, ``declared`` or what --set-threads gives, be there fewer cores: the last bits
    of a sum depend on their number. What takes the threads is not tracked, and reruns nothing.
    """
    return lambda wildcards, threads: max(threads, declared(wildcards))


HERE = any(map(shutil.which, ("nvidia-smi", "rocm-smi")))  # a GPU, on this machine


def gpu(wildcards):
    """One GPU a job on a cluster or where there is one; none on a machine without, so that jobs run side by side."""
    executor = workflow.executor_plugin
    local = executor is None or executor.common_settings.local_exec
    return int(HERE or not local)


def asked(memory, work=lambda wildcards: 0, minutes=STARTING, **others):
    """Resources by ``memory`` (bytes) and ``work`` (floating-point operations), functions of the wildcards."""

    def mem_mb(wildcards, attempt):
        return ceil(memory(wildcards) / MB) * 2 ** (attempt - 1)

    def runtime(wildcards, attempt):
        # twice the time that the work should take
        return (minutes + ceil(2 * work(wildcards) / RATE / 60)) * 2 ** (attempt - 1)

    return {"mem_mb": mem_mb, "runtime": runtime, **others}


def on_gpu(copies, tokens, kept, work):
    """A job that runs a model: ``copies`` of its weights, batches of ``tokens``, ``kept`` BACKWARD or FORWARD.

    ``tokens``: a function of size and wildcards. ``work``: the same, in tokens that are read forward and backward.
    """

    def memory(wildcards):
        model = size(wildcards.model)
        examples = FLOAT * model.edges * config["pairs"]["examples"]
        weights = FLOAT * copies * model.parameters
        batch = tokens(model, wildcards) * model.activations(*kept)
        return BASE + gpu(wildcards) * DRIVER + weights + batch + examples

    def operations(wildcards):
        model = size(wildcards.model)
        return 6 * model.parameters * work(model, wildcards)

    return asked(memory, operations, gpu=gpu)


def reading(section, passes, copies=WEIGHTS_READ, kept=BACKWARD):
    """A job that runs ``passes`` times over every pair, in batches of the section's ``batch_tokens``."""
    most = config[section]["batch_tokens"]
    return on_gpu(
        copies,
        lambda model, wildcards: max(most, model.tokens),
        kept,
        lambda model, wildcards: passes * config["pairs"]["examples"] * model.tokens,
    )


def training(settings, runs=1):
    """A job that trains ``runs`` times. ``settings`` of a training: a function of the wildcards."""

    def batch(model, wildcards):
        return settings(wildcards)["batch_size"] * model.tokens

    def work(model, wildcards):
        return runs * settings(wildcards)["steps"] * batch(model, wildcards)

    return on_gpu(WEIGHTS_TRAINED, batch, BACKWARD, work)


def generating(runs=lambda wildcards: 1):
    """A job that writes summaries by so many models: a pass for every token, whatever the batch leaves unused."""
    settings = config["summaries"]
    batch = settings["batch_size"] * settings["beams"]
    return on_gpu(
        WEIGHTS_READ,
        lambda model, wildcards: batch * model.tokens,
        FORWARD,
        lambda model, wildcards: (
            runs(wildcards)
            * settings["examples"]
            * (model.tokens + 50 * settings["max_new_tokens"])
        ),
    )


def on_tables(circuits=0, copies=0, held=0, minutes=STARTING):
    """A job without a GPU: ``circuits`` with their examples' scores, ``copies`` of the weights, ``held`` bytes of text."""

    def memory(wildcards):
        if not circuits and not copies:
            return BASE + held
        model = size(wildcards.model)
        scores = circuits * model.edges * config["pairs"]["examples"]
        return BASE + held + FLOAT * (4 * scores + copies * model.parameters)

    # a profile names the type of GPU for all jobs; those without one must not ask for it
    return asked(memory, minutes=minutes, gpu=0, gpu_model="")
