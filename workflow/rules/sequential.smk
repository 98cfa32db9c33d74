"""One small task after another: what the second does to the first one's circuit. results/sequential/{model}/{run}/

A run is one task, two after each other by a variant (`add-max/kept`), or several together (`add+max`).
"""

from rewire.sequential.declared import (
    MULTI,
    SEQUENTIAL,
    SINGLE,
    SUMMARIZATION,
    every_task,
    masked,
    runs,
)
from rewire.sequential.declared import problem as wrong_section
from rewire.sequential.tasks.declared import COMPOSITES, TASKS

SECTION = config["sequential"]
if wrong := wrong_section(SECTION, list(TASKS)):
    raise WorkflowError(f"config: {wrong}")
for name in SECTION["models"]:
    if name not in MODELS:
        raise WorkflowError(
            f"config: sequential.models: {name!r} is not in models ({', '.join(MODELS)})"
        )
    if "vocabulary" in MODELS[name].get("tokenizer", {}):
        raise WorkflowError(
            f"config: sequential.models: {name!r} has a tokenizer made of articles; "
            "a model from scratch needs tokenizer {words: tasks} or a path"
        )
ARTICLES = SECTION.get("articles")
if ARTICLES and ARTICLES["dataset"] not in set(DATASETS) - set(SUMS):
    raise WorkflowError(
        f"config: sequential.articles.dataset: {ARTICLES['dataset']!r} is no dataset of articles "
        f"({', '.join(sorted(set(DATASETS) - set(SUMS)))})"
    )
for name in SECTION["models"] if SUMMARIZATION in every_task(SECTION) else ():
    if MODELS[name]["source"] == "scratch":
        raise WorkflowError(
            f"config: sequential.models: {name!r} from scratch reads tasks alone, and {SUMMARIZATION} is one of "
            "the tasks; take a model that reads articles"
        )
for number, (name, _) in enumerate(RUNS):
    if "words" in MODELS[name].get("tokenizer", {}):
        raise WorkflowError(
            f"config: runs[{number}].model: {name!r} has the words of tasks alone (tokenizer words: tasks) "
            "and reads no articles"
        )
TRAININGS = runs(SECTION)  # name -> run
SECOND = [name for name, run in TRAININGS.items() if run.kind == SEQUENTIAL]
AT_ONCE = [name for name in TRAININGS if name not in SECOND]
ALONE = [name for name, run in TRAININGS.items() if run.kind == SINGLE]
KEPT_STEPS = sorted({*SECTION["steps"], SECTION["training"]["steps"]})
LAST_STEP = f"step-{KEPT_STEPS[-1]:06d}"
# tokens, more than any generated prompt with its answer has; of articles, as many as the context takes
PROMPT = 32

# tasks made of two others, as a task of its own or trained together: name of the run -> its parts
COMPOSED = {
    name: list(parts)
    for name, parts in COMPOSITES.items()
    if {name, *parts} <= set(every_task(SECTION))
} | {
    name: list(run.tasks)
    for name, run in TRAININGS.items()
    if run.kind == MULTI and len(run.tasks) == 2 and SUMMARIZATION not in run.tasks
}
# of pairs of tasks, and of tasks made of two others, where there are any
ANALYSES = ["regression"] * bool(SECOND) + ["algebra"] * bool(COMPOSED)
# a table that claims are judged on -> its file; of AddSub the circuit at every size is published
CURVES = {"curve": "add_sub/curve"} if "add_sub" in every_task(SECTION) else {}
OF_SEQUENTIAL = ["accuracy", "changes"] + ["heatmaps", "forgetting"] * bool(SECOND)
OF_SEQUENTIAL += ["masked"] * bool(masked(SECTION)[0])
SHOWN = "results/figures/{model}/sequential/{name}"

OF_MODEL = "results/sequential/{model}"
TASK_SPLIT = f"{OF_MODEL}/tasks/{{task}}/{{split}}.parquet"
OF_RUN = f"{OF_MODEL}/{{run}}"
RUN_LOG = "logs/sequential/{model}/{run}"
EVOLVED = ("changes", "turnover", "layers", "edge_centric")
MEASURED = ("measures", *EVOLVED)
OF_SECOND = (*MEASURED, "cross", "overlaps")
OF_TASK = ("curve", "areas", "criteria")
TOGETHER = ("checkpoints", *EVOLVED, "pairs")
JUDGED_ON = {name: name for name in (*TOGETHER, *ANALYSES)} | CURVES


def task_tables(split, which):
    """Input function: one split of the tasks that ``which`` takes of the wildcards' run."""

    def paths(wildcards):
        tasks = which(TRAININGS[wildcards.run])
        return expand(TASK_SPLIT, model=wildcards.model, task=tasks, split=split)

    return paths


def of_single(pattern, which):
    """Input function: ``pattern`` of the single run of the first (0) or the second (1) task of the wildcards' run."""

    def path(wildcards):
        task = TRAININGS[wildcards.run].tasks[which]
        return pattern.format(model=wildcards.model, run=task)

    return path


def of_each_alone(pattern):
    """Input function: ``pattern`` of the single run of each task that the wildcards' run trains together; else none."""

    def paths(wildcards):
        run = TRAININGS[wildcards.run]
        tasks = run.tasks if run.kind == MULTI else ()
        return expand(pattern, model=wildcards.model, run=tasks)

    return paths


def variant_of(wildcards):
    """How the second stage of the wildcards' run is trained."""
    declared = SECTION["variants"][TRAININGS[wildcards.run].variant]
    return ordered({key: declared[key] for key in declared if key != "pairs"})


def circuit_asked(wildcards):
    """The circuits of the first task, where only a side of its circuit is trained."""
    if "circuit" not in variant_of(wildcards):
        return []
    return of_single(f"{OF_RUN}/circuits", 0)(wildcards)


def stage_settings(wildcards):
    """The section as training reads it."""
    return section("sequential", "training", "steps", "adapter", "full")


def described_run(wildcards):
    """Param: what makes the wildcards' run."""
    run = TRAININGS[wildcards.run]
    return {"kind": run.kind, "tasks": list(run.tasks), "variant": run.variant}


def measuring_circuits():
    """The settings that a measurement without change reads."""
    circuits = section("circuits", "method", "steps", "grid", "metric", "batch_tokens")
    own = section("sequential", "fraction", "examples", "random", "seed")
    return ordered(own | {"circuits": circuits})


def measuring():
    """The settings that a measurement of checkpoints reads."""
    evolved = section("sequential", "resamples", "alpha", "controls")
    return ordered(measuring_circuits() | evolved)


def longest(model):
    """Tokens of the longest example of any task."""
    return model.tokens if ARTICLES else PROMPT


def training_stage(settings=lambda wildcards: SECTION["training"]):
    """Resources of a training on tasks by ``settings``, a function of the wildcards."""

    def tokens(model, wildcards):
        return settings(wildcards)["batch_size"] * longest(model)

    return on_gpu(
        WEIGHTS_TRAINED,
        tokens,
        BACKWARD,
        lambda model, wildcards: settings(wildcards)["steps"]
        * tokens(model, wildcards),
    )


def measuring_run(passes):
    """Resources of a measurement that runs ``passes`` times over every held-out prompt of two tasks."""
    most = config["circuits"]["batch_tokens"]
    prompts = SECTION["rows"]["validation"] + SECTION["rows"]["test"]
    return on_gpu(
        WEIGHTS_READ,
        lambda model, wildcards: max(most, longest(model)),
        BACKWARD,
        lambda model, wildcards: 2 * passes * prompts * longest(model),
    )


PASSES = (len(KEPT_STEPS) + 1) * (config["circuits"]["steps"] + SECTION["random"] + 6)


rule pretrain_on_tasks:
    """A base model from scratch: answers of other tasks, and bare prompts of those that follow."""
    input:
        tokenizer=tokenizer_files,
    output:
        folder=directory(f"{OF_MODEL}/base"),
        table=f"{OF_MODEL}/pretraining.parquet",
    log:
        "logs/sequential/{model}/base.log",
    benchmark:
        "logs/sequential/{model}/base.benchmark.tsv"
    wildcard_constraints:
        model=names(with_source("scratch")),
    conda:
        "../../envs/rewire.yaml"
    threads: training_threads
    resources:
        **training_stage(lambda wildcards: MODELS[wildcards.model]["pretraining"]),
    params:
        code=code("sequential_base.py"),
        threads=computing(training_threads),
        model=base_settings,
        tasks=sorted(every_task(SECTION)),
        sequential=section("sequential", "base", "numbers", "rows", "seed"),
        work=f"{OF_MODEL}/.pretraining",
    script:
        "../scripts/sequential_base.py"


rule copy_sequential_base:
    """A base model from the Hub or a local directory."""
    input:
        files=base_files,
    output:
        directory(f"{OF_MODEL}/base"),
    log:
        "logs/sequential/{model}/copy.log",
    wildcard_constraints:
        model=names(with_source("hub", "local")),
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(copies=WEIGHTS_READ),
    params:
        code=code("copy_checkpoint.py"),
        source=base_settings,
    script:
        "../scripts/copy_checkpoint.py"


rule write_task:
    """Prompts of one task with answers, and the same with an operand replaced: one table a split."""
    input:
        base=f"{OF_MODEL}/base",
    output:
        **{split: TASK_SPLIT.replace("{split}", split) for split in SPLITS},
    log:
        "logs/sequential/{model}/tasks/{task}.log",
    benchmark:
        "logs/sequential/{model}/tasks/{task}.benchmark.tsv"
    wildcard_constraints:
        task=names(sorted({*every_task(SECTION), *COMPOSED} - {SUMMARIZATION})),
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("sequential_task.py"),
        sequential=section("sequential", "rows", "numbers", "seed"),
    script:
        "../scripts/sequential_task.py"


rule write_summarization:
    """Articles and their summaries as a task like the others: one split."""
    input:
        articles=lambda wildcards: "results/articles/{dataset}/{split}.parquet".format(
            dataset=ARTICLES["dataset"], split=wildcards.split
        ),
        base=f"{OF_MODEL}/base",
    output:
        TASK_SPLIT,
    log:
        "logs/sequential/{model}/tasks/{task}-{split}.log",
    wildcard_constraints:
        task=SUMMARIZATION,
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("pairs.py"),
        task="summary",
        corruption=lambda wildcards: ARTICLES["corruption"],
        pairs=lambda wildcards: ordered(
            section("pairs", "salience", "noise_share", "seed")
            | {"examples": SECTION["rows"][wildcards.split]}
        ),
        language=lambda wildcards: DATASETS[ARTICLES["dataset"]]["language"],
    script:
        "../scripts/pairs.py"


rule train_task:
    """One task, or several together, from the base: the weights at every step that is kept."""
    input:
        start=f"{OF_MODEL}/base",
        train=task_tables("train", lambda run: run.trained),
        validation=task_tables("validation", lambda run: run.trained),
    output:
        folder=directory(f"{OF_RUN}/checkpoints"),
        table=f"{OF_RUN}/training.parquet",
    log:
        f"{RUN_LOG}/training.log",
    benchmark:
        f"{RUN_LOG}/training.benchmark.tsv"
    wildcard_constraints:
        run=names(AT_ONCE),
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **training_stage(),
    params:
        code=code("sequential_train.py"),
        threads=computing(threads_of),
        sequential=stage_settings,
        variant=None,
        checkpoint="",
        work=f"{OF_RUN}/.training",
    script:
        "../scripts/sequential_train.py"


rule train_second_task:
    """A second task on the model that has learned the first."""
    input:
        base=f"{OF_MODEL}/base",
        start=of_single(f"{OF_RUN}/checkpoints", 0),
        train=task_tables("train", lambda run: run.trained),
        validation=task_tables("validation", lambda run: run.trained),
        circuits=circuit_asked,
    output:
        folder=directory(f"{OF_RUN}/checkpoints"),
        table=f"{OF_RUN}/training.parquet",
    log:
        f"{RUN_LOG}/training.log",
    benchmark:
        f"{RUN_LOG}/training.benchmark.tsv"
    wildcard_constraints:
        run=names(SECOND),
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **training_stage(),
    params:
        code=code("sequential_train.py"),
        threads=computing(threads_of),
        sequential=stage_settings,
        variant=variant_of,
        checkpoint=LAST_STEP,
        task=lambda wildcards: TRAININGS[wildcards.run].tasks[0],
        work=f"{OF_RUN}/.training",
    script:
        "../scripts/sequential_train.py"


rule measure_task:
    """Circuits, accuracy and change of every checkpoint of a run from the base."""
    input:
        start=f"{OF_MODEL}/base",
        checkpoints=f"{OF_RUN}/checkpoints",
        validation=task_tables("validation", lambda run: run.tasks),
        test=task_tables("test", lambda run: run.tasks),
        alone=of_each_alone(f"{OF_RUN}/measures.parquet"),
        alone_circuits=of_each_alone(f"{OF_RUN}/circuits"),
    output:
        **{name: f"{OF_RUN}/{name}.parquet" for name in MEASURED},
        circuits=directory(f"{OF_RUN}/circuits"),
    log:
        f"{RUN_LOG}/measures.log",
    benchmark:
        f"{RUN_LOG}/measures.benchmark.tsv"
    wildcard_constraints:
        run=names(AT_ONCE),
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **measuring_run(PASSES),
    params:
        code=code("sequential_measures.py"),
        threads=computing(threads_of),
        run=described_run,
        steps=KEPT_STEPS,
        sequential=measuring(),
    script:
        "../scripts/sequential_measures.py"


rule measure_second_task:
    """The same of both tasks after a second stage, and the circuits of each on the other."""
    input:
        base=f"{OF_MODEL}/base",
        start=of_single(f"{OF_RUN}/checkpoints", 0),
        checkpoints=f"{OF_RUN}/checkpoints",
        validation=task_tables("validation", lambda run: run.tasks),
        test=task_tables("test", lambda run: run.tasks),
        first=of_single(f"{OF_RUN}/measures.parquet", 0),
        first_circuits=of_single(f"{OF_RUN}/circuits", 0),
        alone_circuits=of_single(f"{OF_RUN}/circuits", 1),
    output:
        **{name: f"{OF_RUN}/{name}.parquet" for name in OF_SECOND},
        circuits=directory(f"{OF_RUN}/circuits"),
    log:
        f"{RUN_LOG}/measures.log",
    benchmark:
        f"{RUN_LOG}/measures.benchmark.tsv"
    wildcard_constraints:
        run=names(SECOND),
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **measuring_run(PASSES),
    params:
        code=code("sequential_second.py"),
        threads=computing(threads_of),
        run=described_run,
        steps=KEPT_STEPS,
        sequential=measuring(),
    script:
        "../scripts/sequential_second.py"


rule judge_task:
    """Every criterion of the summarization study, of the circuit of a task in the model that learned it alone."""
    input:
        checkpoints=f"{OF_RUN}/checkpoints",
        circuits=f"{OF_RUN}/circuits",
        validation=TASK_SPLIT.replace("{task}", "{run}").replace(
            "{split}", "validation"
        ),
    output:
        **{name: f"{OF_RUN}/faithfulness/{name}.parquet" for name in OF_TASK},
    log:
        f"{RUN_LOG}/faithfulness.log",
    benchmark:
        f"{RUN_LOG}/faithfulness.benchmark.tsv"
    wildcard_constraints:
        run=names(ALONE),
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **measuring_run(10 * (config["faithfulness"]["random"] + 10)),
    params:
        code=code("sequential_faithfulness.py"),
        threads=computing(threads_of),
        step=LAST_STEP,
        circuits=ordered(
            section("circuits", "method", "steps", "grid", "metric", "batch_tokens")
            | section("sequential", "fraction")
        ),
        faithfulness=section("faithfulness"),
    script:
        "../scripts/sequential_faithfulness.py"


rule gather_pairs:
    """Every run's tables in one, and a row a pair: forgetting, gain, and how far the circuits overlap."""
    input:
        **{
            name: expand(f"{OF_RUN}/{name}.parquet", run=TRAININGS, allow_missing=True)
            for name in MEASURED
        },
        **{
            name: expand(f"{OF_RUN}/{name}.parquet", run=SECOND, allow_missing=True)
            for name in OF_SECOND
            if name not in MEASURED
        },
        training=expand(f"{OF_RUN}/training.parquet", run=SECOND, allow_missing=True),
    output:
        **{name: f"{OF_MODEL}/{name}.parquet" for name in TOGETHER},
    log:
        "logs/sequential/{model}/pairs.log",
    benchmark:
        "logs/sequential/{model}/pairs.benchmark.tsv"
    wildcard_constraints:
        model=names(SECTION["models"]),
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("sequential_pairs.py"),
        runs=[
            {"kind": run.kind, "tasks": list(run.tasks), "variant": run.variant}
            for run in TRAININGS.values()
        ],
        sequential=ordered(
            section("sequential", "learned", "seed")
            | {"rates": {name: v["rate"] for name, v in SECTION["variants"].items()}}
        ),
    script:
        "../scripts/sequential_pairs.py"


rule sequential:
    """Target: every run of sequential fine-tuning, and what each second task did to the first."""
    input:
        expand(
            f"{OF_MODEL}/{{name}}.parquet",
            model=SECTION["models"],
            name=JUDGED_ON.values(),
        ),
        ["results/sequential/claims.parquet", "results/figures/sequential_claims.png"]
        * bool(SECTION["models"]),
        expand(f"{SHOWN}.png", model=SECTION["models"], name=OF_SEQUENTIAL),


rule sequential_faithfulness:
    """Target: the circuits of the tasks by every criterion: curves, CPR, CMD, completeness, minimality, necessity."""
    input:
        expand(
            f"{OF_RUN}/faithfulness/{{name}}.parquet",
            model=SECTION["models"],
            run=ALONE,
            name=OF_TASK,
        ),
