"""How faithful each circuit is, beside random circuits of its size and another task's circuit."""

FAITHFULNESS = "results/faithfulness/{model}/{dataset}/{checkpoint}/curve.parquet"
AREAS = "results/faithfulness/{model}/{dataset}/{checkpoint}/areas.parquet"
CRITERIA = "results/faithfulness/{model}/{dataset}/{checkpoint}/criteria.parquet"
# circuits of every fraction: ours, another task's and the folds', by two rankings, and random ones beside each
CIRCUITS_JUDGED = (
    len(config["faithfulness"]["fractions"])
    * 2
    * (2 + config["faithfulness"]["folds"] + config["faithfulness"]["random"])
)


rule evaluate_circuit:
    """The circuit and its nulls at every fraction of edges, and the areas under their curves."""
    input:
        checkpoint=FOLDER,
        pairs=CLEAN_PAIRS,
        other_task=lambda wildcards: (
            [] if wildcards.dataset in SUMS else CONTINUATION.format(**wildcards)
        ),
        scores=f"{CIRCUIT}/scores.safetensors",
    output:
        curve=FAITHFULNESS,
        areas=AREAS,
    log:
        "logs/faithfulness/{model}/{dataset}/{checkpoint}/curve.log",
    benchmark:
        "logs/faithfulness/{model}/{dataset}/{checkpoint}/curve.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("faithfulness", passes=CIRCUITS_JUDGED),
    params:
        code=code("faithfulness.py"),
        threads=computing(threads_of),
        circuits=section(
            "circuits", "method", "steps", "grid", "metric", "batch_tokens"
        ),
        faithfulness=section(
            "faithfulness", "fractions", "random", "folds", "seed", "batch_tokens"
        ),
    script:
        "../scripts/faithfulness.py"


rule test_circuit:
    """Necessity, completeness and minimality of the circuit."""
    input:
        checkpoint=FOLDER,
        pairs=CLEAN_PAIRS,
        scores=f"{CIRCUIT}/scores.safetensors",
    output:
        CRITERIA,
    log:
        "logs/faithfulness/{model}/{dataset}/{checkpoint}/criteria.log",
    benchmark:
        "logs/faithfulness/{model}/{dataset}/{checkpoint}/criteria.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("faithfulness", passes=config["faithfulness"]["dropped_edges"] + 100),
    params:
        code=code("faithfulness_criteria.py"),
        threads=computing(threads_of),
        circuits=section(
            "circuits", "method", "steps", "grid", "metric", "fraction", "batch_tokens"
        ),
        faithfulness=section(
            "faithfulness",
            "random",
            "knockouts",
            "greedy",
            "dropped_edges",
            "seed",
            "batch_tokens",
        ),
    script:
        "../scripts/faithfulness_criteria.py"


rule faithfulness:
    """Target: the faithfulness of every circuit of every run."""
    input:
        each_checkpoint(FAITHFULNESS),
        [
            CRITERIA.format(model=m, dataset=d, checkpoint=checkpoint)
            for m, d in RUNS
            for checkpoint in ("base", last(m))
        ],
