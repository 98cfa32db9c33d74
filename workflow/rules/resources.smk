"""What a job asks of its machine: threads, memory, minutes and a GPU, by one formula from the size of its model.

Rules say it in one line, `resources: **reading(...)`. `mem_mb` is the host's memory: on the CPU, activations and all copies
of the weights share it; with a GPU, only what passes through it. Both it and `runtime` double with every attempt, `runtime`
up to DAY.
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
# of these, at once in the host's memory where there is a GPU. Loaded: the model's own and the file's, until it is moved to
# the GPU; of two models the second comes when the first has been moved. Saved: one, as safetensors gathers all tensors before
# it writes (the optimizer's state goes one by one). Resumed: the weights' file, and both moments of AdamW, which are read whole
ON_HOST = {WEIGHTS_READ: 2, WEIGHTS_COMPARED: 2, WEIGHTS_TRAINED: 3}
# a training keeps on the host its table of articles (CNN/DailyMail's 287,113 take 1.3 GB) and, of every example that it has
# read, a number and two places in lists a token
ARTICLES_READ, TOKEN_READ = 2000 * MB, 50
# floats a token that are held at once: widths of the model a layer, and logits of the whole vocabulary
BACKWARD, FORWARD = (30, 3), (10, 0)
# floating-point operations a second: half of what an A100 does in float32 (19.5e12). GPT-2's weights and those from scratch are
# float32, nothing is autocast and torch leaves TF32 off, so that its tensor cores stay idle
RATE = 1e13
# minutes, the most that an attempt asks for: few partitions allow more, and an interrupted training goes on in the next
DAY = 24 * 60
STARTING = 30  # minutes for starting, loading and writing
WORDS = 1000  # of a tokenizer made for tasks, more than it has
LONGEST = 2048  # tokens of an article with its summary, however long the context is
# bytes of memory a byte of a file of articles, by its ending, measured on 50 to 230 MB. The file is read whole, so that a split
# that takes ten rows of it uses half as much and more. Parquet is compressed: written by zstd it takes the most
HELD_BY_ENDING = {".json": 7, ".jsonl": 7, ".csv": 7, ".parquet": 14}
HELD_BY_HUB = 2000 * MB  # of a dataset whose size is not known
HELD_BY_ROW = 5000  # of the newswire


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


# in a container the devices may be there without the programs
PROGRAMS, DEVICES = ("nvidia-smi", "rocm-smi"), ("/dev/nvidia0", "/dev/kfd")
HERE = any(map(shutil.which, PROGRAMS)) or any(map(os.path.exists, DEVICES))  # a GPU


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
        first = minutes + ceil(2 * work(wildcards) / RATE / 60)
        return min(first * 2 ** (attempt - 1), DAY)

    return {"mem_mb": mem_mb, "runtime": runtime, **others}


def on_gpu(copies, tokens, kept, work, texts=lambda model, wildcards: 0):
    """A job that runs a model: ``copies`` of its weights, batches of ``tokens``, ``kept`` BACKWARD or FORWARD.

    ``tokens``: a function of size and wildcards. ``work``: the same, in tokens that are read forward and backward.
    ``texts``: bytes of examples; on the CPU they are few beside the activations.
    """

    def memory(wildcards):
        model = size(wildcards.model)
        examples = FLOAT * model.edges * config["pairs"]["examples"]
        weights = FLOAT * model.parameters
        if gpu(wildcards):
            # every example's scores come to the host, where two corruptions' are compared, resampled and written
            held = ON_HOST[copies] * weights + 4 * examples
            return BASE + DRIVER + held + texts(model, wildcards)
        batch = tokens(model, wildcards) * model.activations(*kept)
        return BASE + copies * weights + batch + examples

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

    def texts(model, wildcards):
        return ARTICLES_READ + TOKEN_READ * work(model, wildcards) / runs

    return on_gpu(WEIGHTS_TRAINED, batch, BACKWARD, work, texts)


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


def articles_held(wildcards):
    """Bytes of memory that a split's articles take while they are read and written."""
    entry = DATASETS[wildcards.dataset]
    if entry["source"] == "newswire":
        return HELD_BY_ROW * entry["rows"][wildcards.split]
    if entry["source"] == "hub":
        return HELD_BY_HUB
    files = [Path(file) for file in article_files(wildcards)]
    return sum(
        HELD_BY_ENDING.get(file.suffix, 0) * file.stat().st_size
        for file in files
        if file.is_file()
    )


def on_tables(circuits=0, copies=0, held=lambda wildcards: 0, minutes=STARTING):
    """A job without a GPU: ``circuits`` with their examples' scores, ``copies`` of the weights, ``held`` bytes of text."""

    def memory(wildcards):
        if not circuits and not copies:
            return BASE + held(wildcards)
        model = size(wildcards.model)
        scores = circuits * model.edges * config["pairs"]["examples"]
        return BASE + held(wildcards) + FLOAT * (4 * scores + copies * model.parameters)

    # a profile names the type of GPU for all jobs; those without one must not ask for it
    return asked(memory, minutes=minutes, gpu=0, gpu_model="")
