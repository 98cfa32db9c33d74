"""Hidden states, attention, neurons and weights: every checkpoint and a LoRA model against the base."""

DIFFERENTIAL = "results/differential/{model}/{dataset}/{checkpoint}"
# LoRA on all layers, the first seed: a checkpoint like any other, and against the last one
LORA_STANDARD = "lora-standard"
LORA_AGAINST_LAST = "results/differential/{model}/{dataset}/lora-standard-against-last"
TRAJECTORIES = "results/differential/{model}/{dataset}/trajectories.parquet"
THREE_WAY = "results/differential/{model}/{dataset}/three_way.parquet"
DIFFERENTIAL_TABLES = (
    "layers",
    "heads",
    "neurons",
    "weights",
    "summary",
    "critical_layers",
)
EXAMPLES, BETWEEN = (
    [f"{folder}/{table}.parquet" for table in ("layers", "heads")]
    for folder in (DIFFERENTIAL, LORA_AGAINST_LAST)
)
MEASURING = section(
    "differential", "batch_tokens", "critical_layers", "permutations", "positions"
)
CLEAN_PAIRS = (
    f"results/pairs/{{model}}/{{dataset}}/{config['circuits']['corruption']}.parquet"
)
# runs that have the LoRA adapter that the three-way comparison is about
THREE_WAY_RUNS = SUMMARIZING if "standard" in STRATEGIES else []


rule compare_with_base:
    """Per layer, head and neuron, example by example and in sum."""
    input:
        base=f"{CELL}/base",
        checkpoint=FOLDER,
        pairs=CLEAN_PAIRS,
    output:
        **{name: f"{DIFFERENTIAL}/{name}.parquet" for name in DIFFERENTIAL_TABLES},
    log:
        "logs/differential/{model}/{dataset}/{checkpoint}.log",
    benchmark:
        "logs/differential/{model}/{dataset}/{checkpoint}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("differential", passes=2, copies=WEIGHTS_COMPARED, kept=FORWARD),
    params:
        code=code("differential.py"),
        threads=computing(threads_of),
        differential=MEASURING,
    script:
        "../scripts/differential.py"


rule compare_with_last:
    """The same for a LoRA model against the fine-tuned checkpoint."""
    input:
        base=lambda wildcards: FOLDER.format(
            **wildcards, checkpoint=last(wildcards.model)
        ),
        checkpoint=f"{CELL}/{LORA_STANDARD}",
        pairs=CLEAN_PAIRS,
    output:
        **{name: f"{LORA_AGAINST_LAST}/{name}.parquet" for name in DIFFERENTIAL_TABLES},
    log:
        "logs/differential/{model}/{dataset}/lora-standard-against-last.log",
    benchmark:
        "logs/differential/{model}/{dataset}/lora-standard-against-last.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("differential", passes=2, copies=WEIGHTS_COMPARED, kept=FORWARD),
    params:
        code=code("differential.py"),
        threads=computing(threads_of),
        differential=MEASURING,
    script:
        "../scripts/differential.py"


rule follow_training:
    """Every measure against the training step."""
    input:
        summary=of_checkpoints(f"{DIFFERENTIAL}/summary.parquet", tuned),
        neurons=of_checkpoints(f"{DIFFERENTIAL}/neurons.parquet", tuned),
        weights=of_checkpoints(f"{DIFFERENTIAL}/weights.parquet", tuned),
        training=lambda wildcards: (
            expand(f"{CELL}/training.parquet", **wildcards)
            if wildcards.model in TRAINED
            else []
        ),
    output:
        TRAJECTORIES,
    log:
        "logs/differential/{model}/{dataset}/trajectories.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("trajectories.py"),
        checkpoints=lambda wildcards: tuned(wildcards.model),
        steps=lambda wildcards: ordered(checkpoint_steps(wildcards.model)),
    script:
        "../scripts/trajectories.py"


rule compare_three_ways:
    """Base, fine-tuned and LoRA model side by side."""
    input:
        finetuned=last_checkpoint(EXAMPLES),
        lora=of_checkpoints(EXAMPLES, lambda model: [LORA_STANDARD]),
        between=BETWEEN,
    output:
        THREE_WAY,
    log:
        "logs/differential/{model}/{dataset}/three_way.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("three_way.py"),
        permutations=config["differential"]["permutations"],
    script:
        "../scripts/three_way.py"


rule differential:
    """Target: the differential analysis of every checkpoint of every run, and the LoRA model's."""
    input:
        each_checkpoint(f"{DIFFERENTIAL}/summary.parquet"),
        cells(TRAJECTORIES),
        [THREE_WAY.format(model=m, dataset=d) for m, d in THREE_WAY_RUNS],
