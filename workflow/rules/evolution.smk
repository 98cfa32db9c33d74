"""How the circuit changes over the checkpoints."""

EVOLUTION = "results/evolution/{model}/{dataset}.parquet"
EVOLUTION_CHANGES = "results/evolution/{model}/{dataset}-changes.parquet"
EVOLUTION_LAYERS = "results/evolution/{model}/{dataset}-layers.parquet"
EVOLUTION_EDGES = "results/evolution/{model}/{dataset}-edges.parquet"
EDGE_CENTRIC = "results/evolution/{model}/{dataset}-edge_centric.parquet"


rule compare_circuits:
    """Every checkpoint's circuit against the previous one's and the base's, beside the noise floor."""
    input:
        scores=of_checkpoints(f"{CIRCUIT}/scores.safetensors"),
    output:
        circuits=EVOLUTION,
        changes=EVOLUTION_CHANGES,
        layers=EVOLUTION_LAYERS,
        edges=EVOLUTION_EDGES,
        edge_centric=EDGE_CENTRIC,
    log:
        "logs/evolution/{model}/{dataset}.log",
    benchmark:
        "logs/evolution/{model}/{dataset}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(circuits=max(map(len, map(checkpoints, MODELS))), minutes=240),
    params:
        code=code("evolution.py"),
        steps=lambda wildcards: ordered(checkpoint_steps(wildcards.model)),
        checkpoints=lambda wildcards: checkpoints(wildcards.model),
        evolution=section("evolution"),
    script:
        "../scripts/evolution.py"


rule evolution:
    """Target: the evolution of the circuit of every run."""
    input:
        cells(EVOLUTION),
