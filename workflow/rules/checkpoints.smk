"""Base models and their fine-tuning: results/checkpoints/{model}/{dataset}/{checkpoint}/ in transformers' format."""

CELL = "results/checkpoints/{model}/{dataset}"
FOLDER = CELL + "/{checkpoint}"


def tokenizer_files(wildcards):
    """The files of a tokenizer that a model from scratch takes over."""
    path = MODELS[wildcards.model]["tokenizer"].get("path")
    return (
        sorted(
            str(file)
            for file in Path(os.path.expandvars(path)).glob("*")
            if file.is_file()
        )
        if path
        else []
    )


rule pretrain:
    """A base model from scratch: language modelling on articles alone."""
    input:
        code=code("pretrain.py"),
        train="results/articles/{dataset}/train.parquet",
        validation="results/articles/{dataset}/validation.parquet",
        tokenizer=tokenizer_files,
    output:
        folder=directory(CELL + "/base"),
        table=CELL + "/pretraining.parquet",
    log:
        "logs/checkpoints/{model}/{dataset}/pretrain.log",
    benchmark:
        "logs/checkpoints/{model}/{dataset}/pretrain.benchmark.tsv"
    wildcard_constraints:
        model=names(with_source("scratch")),
    conda:
        "../../envs/rewire.yaml"
    threads: 2
    resources:
        gpu=gpu,
    params:
        model=lambda wildcards: ordered(MODELS[wildcards.model]),
        work=CELL + "/.pretraining",
    script:
        "../scripts/pretrain.py"


rule copy_base:
    """A base model from the Hub or a local directory."""
    input:
        code=code("copy_checkpoint.py"),
    output:
        directory(CELL + "/base"),
    log:
        "logs/checkpoints/{model}/{dataset}/base.log",
    wildcard_constraints:
        model=names(with_source("hub", "local")),
    conda:
        "../../envs/rewire.yaml"
    params:
        source=lambda wildcards: ordered(MODELS[wildcards.model]),
    script:
        "../scripts/copy_checkpoint.py"


rule copy_checkpoint:
    """A published fine-tuned model that stands in for training."""
    input:
        code=code("copy_checkpoint.py"),
    output:
        directory(FOLDER),
    log:
        "logs/checkpoints/{model}/{dataset}/{checkpoint}.log",
    wildcard_constraints:
        model=names(PUBLISHED),
        checkpoint="(?!base).*",
    conda:
        "../../envs/rewire.yaml"
    params:
        source=lambda wildcards: {
            "path": MODELS[wildcards.model]["checkpoints"][wildcards.checkpoint]
        },
    script:
        "../scripts/copy_checkpoint.py"


rule finetune:
    """Fine-tuning on summaries, with a checkpoint at each configured step."""
    input:
        code=code("finetune.py"),
        base=CELL + "/base",
        train="results/articles/{dataset}/train.parquet",
        validation="results/articles/{dataset}/validation.parquet",
    output:
        folders=[directory(f"{CELL}/{name}") for name in STEP_OF if name != "base"],
        table=CELL + "/training.parquet",
    log:
        "logs/checkpoints/{model}/{dataset}/finetune.log",
    benchmark:
        "logs/checkpoints/{model}/{dataset}/finetune.benchmark.tsv"
    wildcard_constraints:
        model=names(TRAINED),
    conda:
        "../../envs/rewire.yaml"
    threads: 2
    resources:
        gpu=gpu,
    params:
        training=section("checkpoints"),
        steps=[step for name, step in STEP_OF.items() if name != "base"],
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
        work=CELL + "/.finetuning",
    script:
        "../scripts/finetune.py"


rule trained:
    """Target: every checkpoint of every run."""
    input:
        each_checkpoint(FOLDER),


rule downloads:
    """Target: what the Hub holds, fetched before a run without a network."""
    input:
        [
            CELL.format(model=m, dataset=d) + "/base"
            for m, d in RUNS
            if MODELS[m]["source"] == "hub"
        ],
        [
            f"results/articles/{d}/{split}.parquet"
            for _, d in RUNS
            if DATASETS[d]["source"] == "hub"
            for split in SPLITS
        ],
