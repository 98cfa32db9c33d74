"""What every rules file shares: the checked config, the names in it, and what a job depends on."""

import hashlib
import os
import re
import sys
from functools import lru_cache
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

ROOT = Path(workflow.basedir)
SOURCE = ROOT / "src"
# scripts import the library from here, in whichever environment they run
os.environ.update(
    PYTHONPATH=os.pathsep.join([str(SOURCE), *filter(None, [os.getenv("PYTHONPATH")])])
)
sys.path.insert(0, str(SOURCE))  # what the workflow itself imports needs no environment
from rewire.config_numbers import make_whole, not_finite
from rewire.lora.declared import (
    CRITERIA,
    beyond,
    is_drawn,
    needs_count,
    needs_criticality,
    problem,
)

# `name: null` drops a strategy or a variant that another config declares
for part, key in (("lora", "strategies"), ("sequential", "variants")):
    if isinstance(config.get(part), dict) and isinstance(config[part].get(key), dict):
        config[part][key] = {
            name: declared
            for name, declared in config[part][key].items()
            if declared is not None
        }

if wrong := not_finite(config):
    raise WorkflowError(f"config: {wrong} is not a finite number")
try:
    validate(config, "../schemas/config.schema.yaml")
except WorkflowError as error:
    wrong = error.__context__  # the jsonschema error
    key = (
        getattr(wrong, "json_path", "$").removeprefix("$").removeprefix(".")
        or "top level"
    )
    message = getattr(wrong, "message", str(error)).splitlines()[0]
    if getattr(wrong, "validator", "") == "uniqueItems":
        items = wrong.instance
        again = next((i for i, item in enumerate(items) if item in items[:i]), 0)
        key, message = f"{key}[{again}]", f"{items[again]!r} is there twice"
    raise WorkflowError(
        f"config: {key}: {message if len(message) < 300 else '... ' + message[-250:]}"
    )
# the schema takes 20.0 for an integer
make_whole(
    config,
    yaml.load(
        (ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"),
        Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
    ),
)

MODELS, DATASETS = config["models"], config["datasets"]
RUNS = [(run["model"], run["dataset"]) for run in config["runs"]]
for number, (model, dataset) in enumerate(RUNS):
    for kind, name, catalogue in (
        ("model", model, MODELS),
        ("dataset", dataset, DATASETS),
    ):
        if name not in catalogue:
            raise WorkflowError(
                f"config: runs[{number}].{kind}: {name!r} is not in {kind}s ({', '.join(catalogue)})"
            )
SPLITS = ("train", "validation", "test")
SUMS = [name for name, entry in DATASETS.items() if entry["source"] == "sums"]
# runs that read articles and write summaries; sums have pairs alone
SUMMARIZING = [(model, dataset) for model, dataset in RUNS if dataset not in SUMS]
CORRUPTIONS = config["pairs"]["corruptions"]
OF_SUMS = ("operands", "digit")
for _, dataset in RUNS:
    for corruption in CORRUPTIONS:
        if (dataset in SUMS) != (corruption in OF_SUMS):
            raise WorkflowError(
                f"config: pairs.corruptions: {corruption!r} does not go with dataset {dataset} "
                f"(source {DATASETS[dataset]['source']})"
            )
if config["circuits"]["corruption"] not in CORRUPTIONS:
    raise WorkflowError(
        f"config: circuits.corruption: {config['circuits']['corruption']!r} "
        f"is not in pairs.corruptions ({', '.join(CORRUPTIONS)})"
    )
JUDGED = config["summaries"]["split"]
if JUDGED in ("train", "validation", config["pairs"]["split"]):
    raise WorkflowError(
        f"config: summaries.split: {JUDGED!r} is used for training, for choosing learning rates and steps, or for "
        "pairs too; summaries are judged on articles that chose nothing"
    )
STEPS = config["checkpoints"]["steps"]
LAST = config["checkpoints"]["training"]["steps"]
if any(step >= LAST for step in STEPS):
    raise WorkflowError(
        f"config: checkpoints.steps: {max(STEPS)} is not below checkpoints.training.steps ({LAST})"
    )
STEP_OF = (
    {"base": 0} | {f"step-{step:06d}": step for step in sorted(STEPS)} | {"final": LAST}
)
# known strategies in this order, whatever the config's, then others by name
KNOWN = (
    "full standard targeted circuit circuit-rank circuit-heads random inverse last-k"
)
STRATEGIES = sorted(
    config["lora"]["strategies"],
    key=lambda name: (*[name != known for known in KNOWN.split()], name),
)
SEEDS = config["lora"]["seeds"]
LAST_SEED = 2**32 - 1  # as the schema has it
# ways to choose layers: the criteria, and the functions that the library registers
CHOICES = list(CRITERIA) + re.findall(
    r"""^@layer_choice\(["']([\w-]+)["']\)""",
    (SOURCE / "rewire/lora/strategies.py").read_text(),
    re.MULTILINE,
)
for name, declared in config["lora"]["strategies"].items():
    if wrong := problem(name, declared, CHOICES):
        raise WorkflowError(f"config: {wrong}")
    if name == "standard-against-last" or name.endswith(".parquet"):
        raise WorkflowError(
            f"config: lora.strategies.{name}: this name is that of other results, choose another"
        )
    draws = declared.get("draws", 0)
    if max(SEEDS) + draws - len(SEEDS) > LAST_SEED:
        raise WorkflowError(
            f"config: lora.strategies.{name}.draws: {draws} draws need seeds after {max(SEEDS)}, {LAST_SEED} is the last"
        )
# what the first seed of each strategy trained, as checkpoints
ADAPTED = {f"lora-{strategy}" for strategy in STRATEGIES}


STUDIES = config["probes"]["studies"]


def names(catalogue):
    """A wildcard constraint: one of the names, or nothing at all."""
    return "|".join(map(re.escape, catalogue)) or "(?!)"


def seeds_of(strategy):
    """The seeds of a strategy; one that draws its layers more often than there are seeds gets others besides."""
    draws = config["lora"]["strategies"][strategy].get("draws", 0)
    more = range(max(SEEDS) + 1, max(SEEDS) + 1 + max(0, draws - len(SEEDS)))
    return [*SEEDS, *more]


def with_source(*sources):
    return [name for name, entry in MODELS.items() if entry["source"] in sources]


PUBLISHED = [name for name, entry in MODELS.items() if "checkpoints" in entry]
PUBLISHED_CHECKPOINTS = sorted(
    {name for model in PUBLISHED for name in MODELS[model]["checkpoints"]}
)
TRAINED = [name for name in MODELS if name not in PUBLISHED]
# names of folders and files beside those of the checkpoints, and what `probes` calls the last one
RESERVED = {
    "base": "the model without training",
    "last": "whichever checkpoint is the last",
    "cross-model": "the exchange of activations",
    "cross-model-pairs": "the exchange of activations",
}
for model in PUBLISHED:
    for name in MODELS[model]["checkpoints"]:
        taken = RESERVED.get(name)
        if name.startswith("lora-"):
            taken = "an adapter of the bake-off"
        if name.endswith(".parquet"):
            taken = "a table"
        if taken:
            raise WorkflowError(
                f"config: models.{model}.checkpoints.{name}: this name is that of {taken}, choose another"
            )
for number, (model, dataset) in enumerate(RUNS):
    if dataset in SUMS and model not in PUBLISHED:
        raise WorkflowError(
            f"config: runs[{number}]: {dataset} has no articles to train {model} on; "
            "give the model its checkpoints"
        )


def checkpoint_steps(model):
    """Checkpoint -> training step, in order; published checkpoints are numbered."""
    if model in PUBLISHED:
        return {
            name: number
            for number, name in enumerate(["base", *MODELS[model]["checkpoints"]])
        }
    return STEP_OF


def training_steps(model):
    """The same for figures: nothing for published checkpoints, whose numbers are no training steps."""
    return {} if model in PUBLISHED else checkpoint_steps(model)


def checkpoints(model):
    return list(checkpoint_steps(model))


def last(model):
    return checkpoints(model)[-1]


def ordered(value):
    """The same value for the same settings in any order of keys, of built-in types, as Snakemake tracks them."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def section(name, *keys):
    """The config's section, or those keys of it."""
    values = config[name]
    return ordered({key: values[key] for key in keys} if keys else values)


# an import statement of the library: the package with the names out of it, or whole modules. By words, since to parse all
# of the library took a fifth of every start
IMPORT = re.compile(
    r"^\s*(?:from (rewire[\w.]*) import (\((?:[^)#]|#.*)*\)|.*)|import (.*))$", re.M
)


@lru_cache(maxsize=None)
def imports(file):
    """The library's modules that ``file`` imports, inside functions too, and those that these import."""
    found = set()
    for package, members, modules in IMPORT.findall(file.read_text(encoding="utf-8")):
        members = [f"{package}.{member}" for member in re.findall(r"\w+", members)]
        for module in [package, *members, *re.findall(r"[\w.]+", modules)]:
            path = SOURCE.joinpath(*module.split(".")).with_suffix(".py")
            if module.startswith("rewire.") and path.is_file() and path not in found:
                found |= {path} | imports(path)
    return frozenset(found)


def code(script):
    """Param: a digest of the script and all of the library's code behind it; another content reruns the rule's jobs.

    One word and not the files themselves as inputs: of a large study they would be most of what Snakemake plans with.
    """
    file = ROOT / "workflow" / "scripts" / script
    digest = hashlib.sha256()
    for path in sorted({file, *imports(file)}):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return f"{script} and the library behind it: {digest.hexdigest()[:16]}"


def figure(name):
    """Output of a figure rule of one cell."""
    stem = f"results/figures/{{model}}/{{dataset}}/{name}"
    return {"png": f"{stem}.png", "svg": f"{stem}.svg"}


def reported(name, category):
    """Output of a figure rule of one cell; the PNG goes into the report with its caption."""
    files = figure(name)
    shown = report(
        files["png"],
        caption=f"../report/{name}.rst",
        category=category,
        subcategory="{model} on {dataset}",
        labels={"figure": name},
    )
    return files | {"png": shown}


def tables_of(dataset, names):
    """Those of ``names`` that a run on ``dataset`` has: sums have no summaries and no bake-off."""
    lacking = ("bakeoff", "summaries_base", "summaries") if dataset in SUMS else ()
    return [name for name in names if name not in lacking]


def cells(pattern, runs=RUNS, **wildcards):
    """``pattern`` for each of ``runs``, and every combination of the other wildcards."""
    return [
        path
        for model, dataset in runs
        for path in expand(pattern, model=model, dataset=dataset, **wildcards)
    ]


def each_checkpoint(pattern):
    """Input function: ``pattern`` for every run and every checkpoint of its model; many, so only if they are asked for."""
    return lambda wildcards: [
        pattern.format(model=model, dataset=dataset, checkpoint=checkpoint)
        for model, dataset in RUNS
        for checkpoint in checkpoints(model)
    ]


def of_checkpoints(pattern, which=checkpoints):
    """Input function: ``pattern`` for every checkpoint of the wildcards' model."""

    def paths(wildcards):
        chosen = which(wildcards.model)
        return expand(
            pattern, model=wildcards.model, dataset=wildcards.dataset, checkpoint=chosen
        )

    return paths


def last_checkpoint(pattern):
    """Input function: ``pattern`` at the last checkpoint of the wildcards' model."""
    return of_checkpoints(pattern, lambda model: [last(model)])


def tuned(model):
    """Every checkpoint but the base."""
    return checkpoints(model)[1:]


def figures_of(model, dataset, figures):
    """Those of ``figures`` that a run has: published checkpoints have no training curve, sums no bake-off."""
    lacking = {"training"} if model in PUBLISHED else set()
    lacking |= set(OF_BAKEOFF) if dataset in SUMS else set()
    return [name for name in figures if name not in lacking]


def title(wildcards):
    return f"{wildcards.model} on {wildcards.dataset}"


def at_last(pattern):
    """``pattern`` for every run; its {last} is the last checkpoint of the run's model."""
    return [pattern.format(model=m, dataset=d, last=last(m)) for m, d in RUNS]
