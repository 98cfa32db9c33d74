"""Published claims beside our numbers, each with a verdict by rule."""

CLAIM_TABLES = {
    "effect": "results/pairs/{model}/{dataset}/effect.parquet",
    **{
        name: f"{DIFFERENTIAL}/{name}.parquet".replace("{checkpoint}", "{last}")
        for name in ("layers", "heads", "neurons")
    },
    "faithfulness_base": FAITHFULNESS.replace("{checkpoint}", "base"),
    "faithfulness": FAITHFULNESS.replace("{checkpoint}", "{last}"),
    "differential": f"{DIFFERENTIAL}/summary.parquet".replace("{checkpoint}", "{last}"),
    "evolution": EVOLUTION_CHANGES,
    "edge_centric": EDGE_CENTRIC,
    "agreement": AGREEMENT,
    "bakeoff": f"{LORA}/bakeoff.parquet",
    "summaries_base": SUMMARIES.replace("{checkpoint}", "base"),
    "summaries": SUMMARIES.replace("{checkpoint}", "{last}"),
}


def claims_of(stage=None):
    """The claims that are judged on the runs of a stage, or on those of `runs`."""
    claims = config["claims"]
    return ordered(
        {name: claims[name] for name in claims if claims[name].get("stage") == stage}
    )


rule judge_claims:
    """One row a claim and run: published value, ours with its interval, verdict."""
    input:
        tables=[
            CLAIM_TABLES[name].format(model=m, dataset=d, last=last(m))
            for m, d in RUNS
            for name in tables_of(d, CLAIM_TABLES)
        ],
    output:
        parquet="results/claims.parquet",
        tsv="results/claims.tsv",
    log:
        "logs/claims/claims.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("claims.py"),
        claims=claims_of(),
        runs=[list(run) for run in RUNS],
        tables=[tables_of(dataset, CLAIM_TABLES) for _, dataset in RUNS],
        identities=ordered({m: MODELS[m]["id"] for m, _ in RUNS if "id" in MODELS[m]}),
    script:
        "../scripts/claims.py"


rule claims:
    """Target: the table of claims."""
    input:
        rules.judge_claims.output,
