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

# the studies that claims are about, of the base checkpoint
CLAIMED = sorted({c["study"] for c in config["claims"].values() if "study" in c})
STUDY_TABLES = {
    f"{study}/{name}": f"{PROBES}/{name}.parquet".replace(
        "{checkpoint}", "base"
    ).replace("{study}", study)
    for study in CLAIMED
    for name in ("prompts", "patches", "neurons")
}


def studies_of(model, dataset):
    """Which of STUDY_TABLES a run has."""
    there = [
        c["study"]
        for c in PROBED
        if (c["model"], c["dataset"], c["checkpoint"]) == (model, dataset, "base")
    ]
    return [name for name in STUDY_TABLES if name.split("/")[0] in there]


def tables_claimed(model, dataset):
    """The tables of a run that claims are judged by."""
    return tables_of(dataset, CLAIM_TABLES) + studies_of(model, dataset)


def paths_claimed(of_run):
    """Their paths, run after run."""
    tables = CLAIM_TABLES | STUDY_TABLES
    return [
        tables[name].format(model=m, dataset=d, last=last(m))
        for m, d in RUNS
        for name in of_run(m, d)
    ]


IDENTITIES = ordered({m: MODELS[m]["id"] for m, _ in RUNS if "id" in MODELS[m]})
DATA_IDENTITIES = ordered(
    {d: DATASETS[d]["id"] for _, d in RUNS if "id" in DATASETS[d]}
)


def claims_of(stage=None):
    """The claims that are judged on the runs of a stage, or on those of `runs`."""
    claims = config["claims"]
    return ordered(
        {name: claims[name] for name in claims if claims[name].get("stage") == stage}
    )


rule judge_claims:
    """One row a claim and run: published value, ours with its interval, verdict."""
    input:
        tables=paths_claimed(tables_claimed),
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
        tables=[tables_claimed(*run) for run in RUNS],
        identities=IDENTITIES,
        data_identities=DATA_IDENTITIES,
    script:
        "../scripts/claims.py"


rule judge_probe_claims:
    """The claims about studies of the probes alone: nothing is fine-tuned for them."""
    input:
        tables=paths_claimed(studies_of),
    output:
        parquet="results/probes/claims.parquet",
        tsv="results/probes/claims.tsv",
    log:
        "logs/probes/claims.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("claims.py"),
        claims=ordered({k: c for k, c in config["claims"].items() if "study" in c}),
        runs=[list(run) for run in RUNS],
        tables=[studies_of(*run) for run in RUNS],
        identities=IDENTITIES,
        data_identities=DATA_IDENTITIES,
    script:
        "../scripts/claims.py"


rule claims:
    """Target: the table of claims."""
    input:
        rules.judge_claims.output,
