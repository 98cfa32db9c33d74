"""Clean/corrupted pairs, and how much each corruption hurts."""

PAIRS = "results/pairs/{model}/{dataset}/{corruption}.parquet"
CONTINUATION = "results/pairs/{model}/{dataset}/continuation.parquet"


rule build_pairs:
    """Articles with their salient (or other) sentences replaced token for token."""
    input:
        articles=f"results/articles/{{dataset}}/{config['pairs']['split']}.parquet",
        base=f"{CELL}/base",
    output:
        PAIRS,
    log:
        "logs/pairs/{model}/{dataset}/{corruption}.log",
    wildcard_constraints:
        dataset=names(sorted({*DATASETS} - {*SUMS})),
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("pairs.py"),
        task="summary",
        corruption=lambda wildcards: wildcards.corruption,
        pairs=section("pairs", "examples", "salience", "noise_share", "seed"),
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
    script:
        "../scripts/pairs.py"


rule build_continuations:
    """Another task on the same articles: their last sentence, the sentences nearest to it masked."""
    input:
        articles=f"results/articles/{{dataset}}/{config['pairs']['split']}.parquet",
        base=f"{CELL}/base",
    output:
        CONTINUATION,
    log:
        "logs/pairs/{model}/{dataset}/continuation.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("pairs.py"),
        task="continuation",
        corruption="mask",
        pairs=section("pairs", "examples", "salience", "noise_share", "seed"),
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
    script:
        "../scripts/pairs.py"


rule measure_pairs:
    """NLL of the summary on clean and corrupted articles, for the base and the last checkpoint."""
    input:
        pairs=expand(PAIRS, corruption=CORRUPTIONS, allow_missing=True),
        checkpoints=of_checkpoints(FOLDER, lambda model: ["base", last(model)]),
    output:
        "results/pairs/{model}/{dataset}/effect.parquet",
    log:
        "logs/pairs/{model}/{dataset}/effect.log",
    benchmark:
        "logs/pairs/{model}/{dataset}/effect.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("circuits", passes=4 * len(CORRUPTIONS)),
    params:
        code=code("pair_effect.py"),
        threads=computing(threads_of),
        corruptions=CORRUPTIONS,
        checkpoints=lambda wildcards: ["base", last(wildcards.model)],
    script:
        "../scripts/pair_effect.py"


rule pairs:
    """Target: the pairs of every run and their effect."""
    input:
        cells(PAIRS, corruption=CORRUPTIONS),
        cells("results/pairs/{model}/{dataset}/effect.parquet"),
