"""Prompt pairs of which parts of two runs are exchanged or read, on chosen checkpoints; and one checkpoint's parts in another.

A checkpoint belongs to a dataset, so that results are under results/probes/{model}/{dataset}/{checkpoint}/{study}.
"""

PROBES = "results/probes/{model}/{dataset}/{checkpoint}/{study}"
PROBE_LOG = "logs/probes/{model}/{dataset}/{checkpoint}/{study}"
CROSS_STUDY = "results/probes/{model}/{dataset}/cross-model/{study}"
CROSS_PAIRS = "results/probes/{model}/{dataset}/cross-model-pairs"
READINGS = ("direct", "lens", "attention", "outputs", "key_tokens", "baselines")


def study_file(wildcards):
    return os.path.expandvars(STUDIES[wildcards.study]["file"])


def study_checkpoints(study, model):
    """The checkpoints of a model that a study is run on; ``last`` is the last one."""
    chosen = STUDIES[study]["checkpoints"]
    named = {"last": last(model)} | {name: name for name in checkpoints(model)}
    return list(dict.fromkeys(named[name] for name in chosen))


def studied(study):
    """The runs that a study is run on."""
    entry = STUDIES[study]
    return [
        (model, dataset)
        for model, dataset in RUNS
        if model in entry["models"] and dataset in entry.get("datasets", DATASETS)
    ]


def layers_known(model):
    """How many layers a model has, 0 if only the job itself will know."""
    entry = MODELS[model]
    if entry["source"] == "hub" and not cached_config(entry["id"]):
        return 0
    folder = Path(os.path.expandvars(entry.get("path", "")))
    if entry["source"] == "local" and not read_json(folder / "config.json"):
        return 0
    return size(model).layers


def check_study(study):
    """One line for a file that is not there, a name that is in no catalogue, or a layer that a model has not."""
    entry, key = STUDIES[study], f"probes.studies.{study}"
    problem = None
    if not Path(os.path.expandvars(entry["file"])).is_file():
        problem = f"file: {entry['file']!r} is not there"
    for kind, catalogue in (("models", MODELS), ("datasets", DATASETS)):
        for name in entry.get(kind, ()):
            if name not in catalogue:
                problem = f"{kind}: {name!r} is not in {kind} ({', '.join(catalogue)})"
    for model in dict.fromkeys(model for model, _ in studied(study) if not problem):
        for name in entry["checkpoints"]:
            if name not in ("last", *checkpoints(model)):
                problem = (
                    f"checkpoints: {name!r} is not one of "
                    f"{', '.join(checkpoints(model))}, last (model {model})"
                )
        there = layers_known(model)
        for layer in entry["layers"] if there else ():
            if layer >= there:
                problem = (
                    f"layers: {layer} is out of range, {model} has {there}, from 0"
                )
    if problem:
        raise WorkflowError(f"config: {key}.{problem}")


for study in STUDIES:
    check_study(study)
# model, dataset, checkpoint and study of every probe, and the runs and studies that read both ends of the training
PROBED = [
    {"model": model, "dataset": dataset, "checkpoint": checkpoint, "study": study}
    for study in STUDIES
    for model, dataset in studied(study)
    for checkpoint in study_checkpoints(study, model)
]
CROSSED = [
    {"model": model, "dataset": dataset, "study": study}
    for study in STUDIES
    for model, dataset in studied(study)
    if {"base", last(model)} <= set(study_checkpoints(study, model))
]
CROSSED_RUNS = list(dict.fromkeys((cell["model"], cell["dataset"]) for cell in CROSSED))


def probing(*keys, of_study):
    """Param: those keys of the section, and those of the study's entry."""

    def settings(wildcards):
        entry = STUDIES[wildcards.study]
        own = {key: entry[key] for key in of_study}
        return ordered(section("probes", *keys) | own)

    return settings


CROSSING = ordered(config["probes"]["cross_model"] | section("probes", "batch_tokens"))


rule patch_study:
    """Every site of every layer, set to its value in the clean run."""
    input:
        code=code("probes_patches.py"),
        checkpoint=FOLDER,
        study=study_file,
    output:
        prompts=f"{PROBES}/prompts.parquet",
        patches=f"{PROBES}/patches.parquet",
        summary=f"{PROBES}/summary.parquet",
        pairings=f"{PROBES}/pairings.parquet",
    log:
        f"{PROBE_LOG}/patches.log",
    benchmark:
        f"{PROBE_LOG}/patches.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **reading("probes", passes=200, kept=FORWARD),
    params:
        probes=probing(
            "components", "heads", "batch_tokens", of_study=["head_positions"]
        ),
    script:
        "../scripts/probes_patches.py"


rule patch_neurons:
    """Every neuron of chosen layers, patched alone."""
    input:
        code=code("probes_neurons.py"),
        checkpoint=FOLDER,
        study=study_file,
    output:
        neurons=f"{PROBES}/neurons.parquet",
        examples=f"{PROBES}/neuron_examples.parquet",
    log:
        f"{PROBE_LOG}/neurons.log",
    benchmark:
        f"{PROBE_LOG}/neurons.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **reading("probes", passes=1000, kept=FORWARD),
    params:
        probes=probing("top", "tokens", "batch_tokens", of_study=["layers", "position"]),
    script:
        "../scripts/probes_neurons.py"


rule read_study:
    """Direct attribution, logit lens, attention and baselines; the leading heads read closely."""
    input:
        code=code("probes_readings.py"),
        checkpoint=FOLDER,
        study=study_file,
        patches=f"{PROBES}/summary.parquet",
    output:
        **{name: f"{PROBES}/{name}.parquet" for name in READINGS},
        summary=f"{PROBES}/readings.parquet",
    log:
        f"{PROBE_LOG}/readings.log",
    benchmark:
        f"{PROBE_LOG}/readings.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **reading("probes", passes=4, kept=FORWARD),
    params:
        probes=probing("top_heads", "keys", "batch_tokens", of_study=["labels"]),
    script:
        "../scripts/probes_readings.py"


rule cross_study:
    """The base with the last checkpoint's activations and back, on a study's prompts."""
    input:
        code=code("probes_cross_study.py"),
        base=f"{CELL}/base",
        finetuned=last_checkpoint(FOLDER),
        study=study_file,
    output:
        examples=f"{CROSS_STUDY}/examples.parquet",
        summary=f"{CROSS_STUDY}/summary.parquet",
    log:
        "logs/probes/{model}/{dataset}/cross-model/{study}.log",
    benchmark:
        "logs/probes/{model}/{dataset}/cross-model/{study}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **reading("probes", passes=200, copies=WEIGHTS_COMPARED, kept=FORWARD),
    params:
        probes=CROSSING,
    script:
        "../scripts/probes_cross_study.py"


rule cross_pairs:
    """The same on the clean articles of the pairs."""
    input:
        code=code("probes_cross_pairs.py"),
        base=f"{CELL}/base",
        finetuned=last_checkpoint(FOLDER),
        pairs=CLEAN_PAIRS,
    output:
        examples=f"{CROSS_PAIRS}/examples.parquet",
        summary=f"{CROSS_PAIRS}/summary.parquet",
    log:
        "logs/probes/{model}/{dataset}/cross-model-pairs.log",
    benchmark:
        "logs/probes/{model}/{dataset}/cross-model-pairs.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **reading("probes", passes=200, copies=WEIGHTS_COMPARED, kept=FORWARD),
    params:
        probes=CROSSING,
    script:
        "../scripts/probes_cross_pairs.py"
