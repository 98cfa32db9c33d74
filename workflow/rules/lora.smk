"""The LoRA bake-off: the same budget on different layers."""

LORA = "results/lora/{model}/{dataset}"
ADAPTER = LORA + "/{strategy}/seed-{seed}"


def last_checkpoint(pattern):
    """Input function: ``pattern`` at the last checkpoint of the wildcards' model."""
    return of_checkpoints(pattern, lambda model: [last(model)])


rule rank_layers:
    """How much each layer changed in fine-tuning, by the differential analysis and by the circuit."""
    input:
        code=code("lora_criticality.py"),
        layers=last_checkpoint(DIFFERENTIAL + "/layers.parquet"),
        heads=last_checkpoint(DIFFERENTIAL + "/heads.parquet"),
        before="results/circuits/{model}/{dataset}/base/scores.safetensors",
        after=last_checkpoint(CIRCUIT + "/scores.safetensors"),
    output:
        LORA + "/criticality.parquet",
    log:
        "logs/lora/{model}/{dataset}/criticality.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        weights=section("lora")["criticality_weights"],
    script:
        "../scripts/lora_criticality.py"


rule train_adapter:
    """One strategy, one seed: a PEFT adapter, its training table and its plan."""
    input:
        code=code("lora_adapter.py"),
        base=CELL + "/base",
        train="results/articles/{dataset}/train.parquet",
        validation="results/articles/{dataset}/validation.parquet",
        criticality=LORA + "/criticality.parquet",
    output:
        directory(ADAPTER + "/adapter"),
    log:
        "logs/lora/{model}/{dataset}/{strategy}/seed-{seed}/adapter.log",
    benchmark:
        "logs/lora/{model}/{dataset}/{strategy}/seed-{seed}/adapter.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    resources:
        gpu=gpu,
    params:
        lora=lambda wildcards: ordered(
            section(
                "lora",
                "rank",
                "alpha_per_rank",
                "dropout",
                "target_modules",
                "critical_layers",
                "validate_every",
                "training",
            )
            | {
                "strategies": {
                    wildcards.strategy: config["lora"]["strategies"][
                        wildcards.strategy
                    ]
                }
            }
        ),
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
        work=ADAPTER + "/.training",
    script:
        "../scripts/lora_adapter.py"


rule summarize_adapter:
    """Greedy summaries of the adapted model and their measures."""
    input:
        code=code("summaries.py"),
        checkpoint=CELL + "/base",
        adapter=ADAPTER + "/adapter",
        articles=HELD_OUT,
    output:
        ADAPTER + "/summaries.parquet",
    log:
        "logs/lora/{model}/{dataset}/{strategy}/seed-{seed}/summaries.log",
    benchmark:
        "logs/lora/{model}/{dataset}/{strategy}/seed-{seed}/summaries.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    resources:
        gpu=gpu,
    params:
        summaries=section("summaries"),
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
    script:
        "../scripts/summaries.py"


rule hold_bakeoff:
    """Every strategy's measures with intervals, against standard and random."""
    input:
        code=code("bakeoff.py"),
        summaries=expand(
            ADAPTER + "/summaries.parquet",
            strategy=STRATEGIES,
            seed=SEEDS,
            allow_missing=True,
        ),
        adapters=expand(
            ADAPTER + "/adapter", strategy=STRATEGIES, seed=SEEDS, allow_missing=True
        ),
        base="results/summaries/{model}/{dataset}/base.parquet",
        full=last_checkpoint(SUMMARIES),
    output:
        LORA + "/bakeoff.parquet",
    log:
        "logs/lora/{model}/{dataset}/bakeoff.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        runs=[[strategy, seed] for strategy in STRATEGIES for seed in SEEDS],
    script:
        "../scripts/bakeoff.py"


rule bakeoff:
    """Target: the LoRA bake-off of every run."""
    input:
        cells(LORA + "/bakeoff.parquet"),
