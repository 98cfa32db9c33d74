"""What circuits owe to their examples, to noise and to the kind of corruption."""

AGREEMENT = "results/robustness/{model}/{dataset}/agreement.parquet"
INCLUSION = "results/robustness/{model}/{dataset}/edges.parquet"
# of three models: by every corruption, every share of noise, and the parts of the examples
CIRCUITS_FOUND = 3 * (len(CORRUPTIONS) + len(config["robustness"]["noise_shares"]) + 1)


rule test_robustness:
    """Circuits of the base, the last checkpoint and a model with random weights, under resampled examples, noise and
    every corruption."""
    input:
        checkpoints=of_checkpoints(FOLDER, lambda model: ["base", last(model)]),
        pairs=expand(PAIRS, corruption=CORRUPTIONS, allow_missing=True),
    output:
        agreement=AGREEMENT,
        edges=INCLUSION,
    log:
        "logs/robustness/{model}/{dataset}.log",
    benchmark:
        "logs/robustness/{model}/{dataset}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("circuits", passes=CIRCUITS_FOUND * config["circuits"]["steps"]),
    params:
        code=code("robustness.py"),
        threads=computing(threads_of),
        corruptions=CORRUPTIONS,
        checkpoints=lambda wildcards: ["base", last(wildcards.model)],
        corruption=config["circuits"]["corruption"],
        circuits=section(
            "circuits", "method", "steps", "grid", "metric", "fraction", "batch_tokens"
        ),
        robustness=section("robustness"),
    script:
        "../scripts/robustness.py"


rule robustness:
    """Target: the robustness of the circuits of every run."""
    input:
        cells(AGREEMENT),
