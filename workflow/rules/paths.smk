"""Local files and folders that the config names: checked, what is read of them, and as inputs of rules."""

from snakemake.io import contains_wildcard

from rewire.errors import InputError
from rewire.paths import adapter_chain, content_of, expand as expand_path, model_config


def expanded(key, path):
    """A path of the config with variables and ~ filled in."""
    try:
        return expand_path(path)
    except InputError as error:
        raise WorkflowError(f"config: {key}: {error}")


def paths_of(kind, name):
    """The paths in an entry of the catalogues: dotted key -> path or Hub id."""
    entry = config[kind][name]
    paths = {key: entry.get(key) for key in ("path", "adapter")}
    paths["tokenizer.path"] = entry.get("tokenizer", {}).get("path")
    for key in ("checkpoints", "files"):
        paths |= {f"{key}.{part}": path for part, path in entry.get(key, {}).items()}
    return {f"{kind}.{name}.{key}": path for key, path in paths.items() if path}


# entries that something is made of; the others may have variables that are not set
READ = {
    "datasets": {dataset for _, dataset in RUNS}
    | {config["sequential"].get("articles", {}).get("dataset")},
    "models": {model for model, _ in RUNS} | set(config["sequential"]["models"]),
}
for kind, read in READ.items():
    for name in filter(read.__contains__, config[kind]):
        for key, path in paths_of(kind, name).items():
            expanded(key, path)
for name, entry in DATASETS.items():
    for split in SPLITS if "files" in entry else ():
        expression = entry["splits"][split]
        if expression.split("[")[0] not in entry["files"]:
            raise WorkflowError(
                f"config: datasets.{name}.splits.{split}: {expression!r} is of none of files "
                f"({', '.join(entry['files'])})"
            )


def files_in(*folders):
    """The files of local folders; nothing for a Hub id.

    Of an adapter also those of the model, or the adapter, that it is on.
    """
    places = {place for folder in folders if folder for place in adapter_chain(folder)}
    files = {file for place in places for file in Path(place).glob("*")}
    return sorted(str(file) for file in files if file.is_file())


def as_inputs(files):
    """Those of ``files`` that can be inputs: braces in a name are wildcards to Snakemake, and it knows no escape."""
    return [file for file in files if not contains_wildcard(file)]


def with_others(settings, files):
    """Param: ``settings``, and a digest of those of ``files`` that cannot be inputs, if there are any."""
    others = [Path(file) for file in files if contains_wildcard(file)]
    digest = hashlib.sha256()
    for file in filter(Path.is_file, others):
        known = file.stat()
        small = known.st_size <= 1_000_000  # as Snakemake does with inputs
        said = file.read_bytes() if small else f"{known.st_size} {known.st_mtime_ns}"
        digest.update(f"{str(file)!r}\n{said}\n".encode())
    return ordered(settings | ({"files_read": digest.hexdigest()} if others else {}))


def article_settings(wildcards):
    """A dataset's catalogue entry as one split reads it: another split's rows or file change nothing here."""
    entry = {k: v for k, v in DATASETS[wildcards.dataset].items() if k != "language"}
    for key in {"rows", "splits"} & set(entry):
        entry[key] = {wildcards.split: entry[key][wildcards.split]}
    name = entry.get("splits", {}).get(wildcards.split, "").split("[")[0]
    if name in entry.get("files", {}):
        entry["files"] = {name: entry["files"][name]}
    return with_others(entry, article_files(wildcards))


def base_settings(wildcards):
    """A base model's catalogue entry, without what is of its training alone."""
    entry = MODELS[wildcards.model]
    unread = {"checkpoints", "target_modules"}
    settings = {key: entry[key] for key in entry if key not in unread}
    folders = (
        entry.get("path"),
        entry.get("adapter"),
        entry.get("tokenizer", {}).get("path"),
    )
    return with_others(settings, files_in(*folders))


def article_files(wildcards):
    """The local file behind a split, if there is one."""
    entry = DATASETS[wildcards.dataset]
    if entry["source"] != "files":
        return []
    name = entry["splits"][wildcards.split].split("[")[0]
    return [expand_path(path) for key, path in entry["files"].items() if key == name]


def article_file(wildcards):
    return as_inputs(article_files(wildcards))


def tokenizer_files(wildcards):
    """The files of a tokenizer that a model from scratch takes over."""
    return as_inputs(files_in(MODELS[wildcards.model]["tokenizer"].get("path")))


def base_files(wildcards):
    """The files behind a base model that is not on the Hub, and behind its adapter."""
    entry = MODELS[wildcards.model]
    return as_inputs(files_in(entry.get("path"), entry.get("adapter")))


def published_files(wildcards):
    """The files behind a published checkpoint that is a local directory."""
    return as_inputs(
        files_in(MODELS[wildcards.model]["checkpoints"][wildcards.checkpoint])
    )


def published_settings(wildcards):
    """A published checkpoint as a catalogue entry of a local model."""
    entry = MODELS[wildcards.model]
    path = entry["checkpoints"][wildcards.checkpoint]
    settings = {"allow_pickle": entry.get("allow_pickle", False), "path": path}
    return with_others(settings | {"source": "local"}, files_in(path))
