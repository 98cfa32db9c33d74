"""How faithful each circuit is, beside random circuits of its size."""

FAITHFULNESS = "results/faithfulness/{model}/{dataset}/{checkpoint}.parquet"


rule evaluate_circuit:
    """The circuit and its random counterparts at every fraction of edges."""
    input:
        code=code("faithfulness.py"),
        checkpoint=FOLDER,
        pairs=CLEAN_PAIRS,
        scores=f"{CIRCUIT}/scores.safetensors",
    output:
        FAITHFULNESS,
    log:
        "logs/faithfulness/{model}/{dataset}/{checkpoint}.log",
    benchmark:
        "logs/faithfulness/{model}/{dataset}/{checkpoint}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    resources:
        gpu=gpu,
    params:
        faithfulness=section("faithfulness"),
    script:
        "../scripts/faithfulness.py"


rule faithfulness:
    """Target: the faithfulness of every circuit of every run."""
    input:
        each_checkpoint(FAITHFULNESS),
