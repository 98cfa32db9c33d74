"""Published claims beside our numbers, each with a verdict by rule."""

CLAIM_TABLES = {
    "effect": "results/pairs/{model}/{dataset}/effect.parquet",
    "heads": f"{DIFFERENTIAL}/heads.parquet".replace("{checkpoint}", "{last}"),
    "faithfulness_base": FAITHFULNESS.replace("{checkpoint}", "base"),
    "faithfulness": FAITHFULNESS.replace("{checkpoint}", "{last}"),
    "evolution": EVOLUTION,
    "bakeoff": f"{LORA}/bakeoff.parquet",
    "summaries_base": SUMMARIES.replace("{checkpoint}", "base"),
    "summaries": SUMMARIES.replace("{checkpoint}", "{last}"),
}


def claim_tables(dataset):
    """The names of the tables that a run on ``dataset`` has."""
    summarizing = ("bakeoff", "summaries_base", "summaries")
    return [
        name for name in CLAIM_TABLES if dataset not in SUMS or name not in summarizing
    ]


rule judge_claims:
    """One row a claim and run: published value, ours with its interval, verdict."""
    input:
        code=code("claims.py"),
        tables=[
            CLAIM_TABLES[name].format(model=m, dataset=d, last=last(m))
            for m, d in RUNS
            for name in claim_tables(d)
        ],
    output:
        parquet="results/claims.parquet",
        tsv="results/claims.tsv",
    log:
        "logs/claims/claims.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        claims=section("claims"),
        runs=[list(run) for run in RUNS],
        tables=[claim_tables(dataset) for _, dataset in RUNS],
        identities=ordered({m: MODELS[m]["id"] for m, _ in RUNS if "id" in MODELS[m]}),
    script:
        "../scripts/claims.py"


rule claims:
    """Target: the table of claims."""
    input:
        rules.judge_claims.output,
