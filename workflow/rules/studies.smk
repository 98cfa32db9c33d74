"""What the rules of the probes share: which studies are run on what, checked, and the names of their figures."""

DRAWN = "results/figures/{model}/{dataset}/probes/{checkpoint}/{study}"
DRAWN_LOG = "logs/figures/{model}/{dataset}/probes/{checkpoint}/{study}"
DRAWN_CROSS = "results/figures/{model}/{dataset}/probes/cross-model"
PROBE_FIGURES = [
    "positions",
    "heads",
    "neurons",
    "logits",
    "attention",
    "patterns",
    "pairings",
    "agreement",
]


def study_file(wildcards):
    return expand_path(STUDIES[wildcards.study]["file"])


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
    return size(model).layers if described(model) else 0


def check_study(study):
    """One line for a file that is not there, a name that is in no catalogue, or a layer that a model has not."""
    entry, key = STUDIES[study], f"probes.studies.{study}"
    problem = None
    file = expanded(f"{key}.file", entry["file"])
    if not Path(file).is_file():
        problem = f"file: {entry['file']!r} is not there"
    if contains_wildcard(file):
        problem = f"file: {entry['file']!r} has braces, which are a wildcard to Snakemake; rename it"
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
    for other in STUDIES:
        if other != study and study_target(other) == study_target(study):
            raise WorkflowError(
                f"config: {key}: {other!r} is as a target {study_target(study)} too"
            )
    if problem:
        raise WorkflowError(f"config: {key}.{problem}")


def study_target(study):
    """A study's name as a target: a rule's name has no hyphens and points."""
    return f"probes_{re.sub('[-.]', '_', study)}"


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


def study_figures(studies):
    """The figures and pages of those studies."""
    own = [cell for cell in PROBED if cell["study"] in studies]
    return [
        *(f"{DRAWN}/{name}.png".format(**c) for c in own for name in PROBE_FIGURES),
        *(f"{DRAWN}/interactive.html".format(**cell) for cell in own),
        *(
            f"{DRAWN_CROSS}/{{study}}.png".format(**cell)
            for cell in CROSSED
            if cell["study"] in studies
        ),
    ]


def probing(*keys, of_study):
    """Param: those keys of the section, and those of the study's entry."""

    def settings(wildcards):
        entry = STUDIES[wildcards.study]
        own = {key: entry[key] for key in of_study}
        return ordered(section("probes", *keys) | own)

    return settings


def shown(stem, caption, **labels):
    """Output of a figure rule of the probes; the PNG goes into the report with its caption."""
    png = report(
        f"{stem}.png",
        caption=f"../report/{caption}.rst",
        category="Probes",
        subcategory="{model} on {dataset}",
        labels=labels,
    )
    return {"png": png, "svg": f"{stem}.svg"}


def probed(figure):
    """Output of a figure of one study and checkpoint."""
    labels = {"figure": figure, "study": "{study}", "checkpoint": "{checkpoint}"}
    return shown(f"{DRAWN}/{figure}", f"probe_{figure}", **labels)


def probe_title(wildcards):
    """What the figure is of; the checkpoint as its figures call it."""
    return f"{wildcards.study}, {wildcards.model} ({wildcards.checkpoint}) on {wildcards.dataset}"
