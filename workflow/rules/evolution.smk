"""How the circuit changes over the checkpoints."""

EVOLUTION = "results/evolution/{model}/{dataset}.parquet"


rule compare_circuits:
    """Every checkpoint's circuit against the previous one's and the base's."""
    input:
        code=code("evolution.py"),
        scores=of_checkpoints(f"{CIRCUIT}/scores.safetensors"),
    output:
        EVOLUTION,
    log:
        "logs/evolution/{model}/{dataset}.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        steps=lambda wildcards: ordered(checkpoint_steps(wildcards.model)),
        checkpoints=lambda wildcards: checkpoints(wildcards.model),
    script:
        "../scripts/evolution.py"


rule evolution:
    """Target: the evolution of the circuit of every run."""
    input:
        cells(EVOLUTION),
