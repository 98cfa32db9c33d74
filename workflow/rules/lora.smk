"""The LoRA bake-off: the same budget on different layers."""

LORA = "results/lora/{model}/{dataset}"
ADAPTER = f"{LORA}/{{strategy}}/seed-{{seed}}"


rule rank_layers:
    """How much each layer changed in fine-tuning, by the differential analysis and by the circuit."""
    input:
        code=code("lora_criticality.py"),
        differential=last_checkpoint(f"{DIFFERENTIAL}/critical_layers.parquet"),
        before="results/circuits/{model}/{dataset}/base/scores.safetensors",
        after=last_checkpoint(f"{CIRCUIT}/scores.safetensors"),
    output:
        f"{LORA}/criticality.parquet",
    log:
        "logs/lora/{model}/{dataset}/criticality.log",
    conda:
        "../../envs/rewire.yaml"
    script:
        "../scripts/lora_criticality.py"


rule train_adapter:
    """One strategy, one seed: a PEFT adapter, its training table and its plan."""
    input:
        code=code("lora_adapter.py"),
        base=f"{CELL}/base",
        train="results/articles/{dataset}/train.parquet",
        validation="results/articles/{dataset}/validation.parquet",
        criticality=f"{LORA}/criticality.parquet",
    output:
        directory(f"{ADAPTER}/adapter"),
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
        work=f"{ADAPTER}/.training",
    script:
        "../scripts/lora_adapter.py"


rule summarize_adapter:
    """Greedy summaries of the adapted model and their measures."""
    input:
        code=code("summaries.py"),
        checkpoint=f"{CELL}/base",
        adapter=f"{ADAPTER}/adapter",
        articles=HELD_OUT,
    output:
        f"{ADAPTER}/summaries.parquet",
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
            f"{ADAPTER}/summaries.parquet",
            strategy=STRATEGIES,
            seed=SEEDS,
            allow_missing=True,
        ),
        adapters=expand(
            f"{ADAPTER}/adapter", strategy=STRATEGIES, seed=SEEDS, allow_missing=True
        ),
        base="results/summaries/{model}/{dataset}/base.parquet",
        full=last_checkpoint(SUMMARIES),
    output:
        f"{LORA}/bakeoff.parquet",
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
        cells(f"{LORA}/bakeoff.parquet", SUMMARIZING),
