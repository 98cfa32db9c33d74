"""Base models and their fine-tuning: results/checkpoints/{model}/{dataset}/{checkpoint}/ in transformers' format."""

CELL = "results/checkpoints/{model}/{dataset}"
FOLDER = f"{CELL}/{{checkpoint}}"
KEPT = f"{CELL}/.kept"  # where the fine-tuning puts checkpoints on the way aside


rule pretrain:
    """A base model from scratch: language modelling on articles alone."""
    input:
        train="results/articles/{dataset}/train.parquet",
        validation="results/articles/{dataset}/validation.parquet",
        tokenizer=tokenizer_files,
    output:
        folder=directory(f"{CELL}/base"),
        table=f"{CELL}/pretraining.parquet",
    log:
        "logs/checkpoints/{model}/{dataset}/pretrain.log",
    benchmark:
        "logs/checkpoints/{model}/{dataset}/pretrain.benchmark.tsv"
    wildcard_constraints:
        model=names(with_source("scratch")),
    conda:
        "../../envs/rewire.yaml"
    threads: training_threads
    resources:
        **training(lambda wildcards: MODELS[wildcards.model]["pretraining"]),
    params:
        code=code("pretrain.py"),
        threads=computing(training_threads),
        model=base_settings,
        work=f"{CELL}/.pretraining",
    script:
        "../scripts/pretrain.py"


rule copy_base:
    """A base model from the Hub or a local directory."""
    input:
        files=base_files,
    output:
        directory(f"{CELL}/base"),
    log:
        "logs/checkpoints/{model}/{dataset}/base.log",
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


rule copy_checkpoint:
    """A published fine-tuned model that stands in for training."""
    input:
        files=published_files,
    output:
        directory(FOLDER),
    log:
        "logs/checkpoints/{model}/{dataset}/{checkpoint}.log",
    wildcard_constraints:
        model=names(PUBLISHED),
        checkpoint=names(PUBLISHED_CHECKPOINTS),
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(copies=WEIGHTS_READ),
    params:
        code=code("copy_checkpoint.py"),
        source=published_settings,
    script:
        "../scripts/copy_checkpoint.py"


rule finetune:
    """Fine-tuning on summaries, to the end; checkpoints on the way are put aside for keep_step."""
    input:
        base=f"{CELL}/base",
        train="results/articles/{dataset}/train.parquet",
        validation="results/articles/{dataset}/validation.parquet",
    output:
        folder=directory(f"{CELL}/final"),
        table=f"{CELL}/training.parquet",
    log:
        "logs/checkpoints/{model}/{dataset}/finetune.log",
    benchmark:
        "logs/checkpoints/{model}/{dataset}/finetune.benchmark.tsv"
    wildcard_constraints:
        model=names(TRAINED),
    conda:
        "../../envs/rewire.yaml"
    threads: training_threads
    resources:
        **training(lambda wildcards: config["checkpoints"]["training"]),
    params:
        code=code("finetune.py"),
        threads=computing(training_threads),
        training=section("checkpoints", "training"),
        # Snakemake does not track what takes the output: other steps to keep do not train this again
        kept=lambda wildcards, output: sorted(STEPS),
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
        store=KEPT,
        work=f"{CELL}/.finetuning",
    script:
        "../scripts/finetune.py"


rule keep_step:
    """A checkpoint on the way: what the fine-tuning put aside or, for a step added since, the same training up to it."""
    input:
        base=f"{CELL}/base",
        train="results/articles/{dataset}/train.parquet",
        trained=f"{CELL}/training.parquet",
    output:
        directory(FOLDER),
    log:
        "logs/checkpoints/{model}/{dataset}/{checkpoint}.log",
    wildcard_constraints:
        model=names(TRAINED),
        checkpoint=names(name for name in STEP_OF if name not in ("base", "final")),
    conda:
        "../../envs/rewire.yaml"
    threads: training_threads
    resources:
        **training(lambda wildcards: config["checkpoints"]["training"]),
    params:
        code=code("checkpoint_step.py"),
        threads=computing(training_threads),
        training=section("checkpoints", "training"),
        step=lambda wildcards: STEP_OF[wildcards.checkpoint],
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
        store=KEPT,
        work=f"{CELL}/.{{checkpoint}}",
    script:
        "../scripts/checkpoint_step.py"


rule trained:
    """Target: every checkpoint of every run."""
    input:
        each_checkpoint(FOLDER),


def datasets_of_the_hub(wildcards):
    """Every split of what the Hub holds, of the runs and of what sequential fine-tuning reads as a task."""
    named = {dataset for _, dataset in RUNS}
    if SECTION["models"] and SUMMARIZATION in every_task(SECTION):
        named.add(ARTICLES["dataset"])
    held = sorted(name for name in named if DATASETS[name]["source"] == "hub")
    return expand("results/articles/{name}/{split}.parquet", name=held, split=SPLITS)


rule downloads:
    """Target: what the Hub holds, fetched before a run without a network."""
    input:
        [
            FOLDER.format(model=m, dataset=d, checkpoint=c)
            for m, d in RUNS
            for c in checkpoints(m)
            if m in PUBLISHED or (c == "base" and MODELS[m]["source"] == "hub")
        ],
        [
            f"results/sequential/{m}/base"
            for m in config["sequential"]["models"]
            if MODELS.get(m, {}).get("source") == "hub"
        ],
        datasets_of_the_hub,
