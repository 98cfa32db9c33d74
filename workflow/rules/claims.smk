"""Published claims beside our numbers, each with a verdict by rule."""

CLAIM_TABLES = {
    "effect": "results/pairs/{model}/{dataset}/effect.parquet",
    "heads": DIFFERENTIAL.replace("{checkpoint}", "{last}") + "/heads.parquet",
    "faithfulness_base": FAITHFULNESS.replace("{checkpoint}", "base"),
    "faithfulness": FAITHFULNESS.replace("{checkpoint}", "{last}"),
    "evolution": EVOLUTION,
    "criticality": LORA + "/criticality.parquet",
    "bakeoff": LORA + "/bakeoff.parquet",
    "summaries_base": SUMMARIES.replace("{checkpoint}", "base"),
    "summaries": SUMMARIES.replace("{checkpoint}", "{last}"),
}


def claim_inputs(table):
    return [
        CLAIM_TABLES[table].format(model=m, dataset=d, last=last(m)) for m, d in RUNS
    ]


rule judge_claims:
    """One row a claim and run: published value, ours with its interval, verdict."""
    input:
        **{table: claim_inputs(table) for table in CLAIM_TABLES},
        code=code("claims.py"),
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
        tables=sorted(CLAIM_TABLES),
    script:
        "../scripts/claims.py"


rule claims:
    """Target: the table of claims."""
    input:
        rules.judge_claims.output,
