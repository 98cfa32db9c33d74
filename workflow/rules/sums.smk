"""Pairs of a task without articles: sums, for models that read digits."""


rule build_sums:
    """Two numbers and their sum; the corrupted side asks another question."""
    output:
        PAIRS,
    log:
        "logs/pairs/{model}/{dataset}/{corruption}.log",
    wildcard_constraints:
        dataset=names(SUMS),
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("sums.py"),
        digits=lambda wildcards: DATASETS[wildcards.dataset]["digits"],
        pairs=section("pairs", "examples", "seed"),
    script:
        "../scripts/sums.py"
