"""Summaries of held-out articles, written by the base and the last checkpoint."""

SUMMARIES = "results/summaries/{model}/{dataset}/{checkpoint}.parquet"
HELD_OUT = f"results/articles/{{dataset}}/{config['summaries']['split']}.parquet"


rule summarize:
    """Greedy summaries and their measures."""
    input:
        checkpoint=FOLDER,
        articles=HELD_OUT,
    output:
        SUMMARIES,
    log:
        "logs/summaries/{model}/{dataset}/{checkpoint}.log",
    benchmark:
        "logs/summaries/{model}/{dataset}/{checkpoint}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **generating(),
    params:
        code=code("summaries.py"),
        threads=computing(threads_of),
        summaries=section("summaries"),
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
    script:
        "../scripts/summaries.py"


rule summaries:
    """Target: summaries by the base and the last checkpoint of every run."""
    input:
        [
            SUMMARIES.format(model=m, dataset=d, checkpoint=c)
            for m, d in SUMMARIZING
            for c in ("base", last(m))
        ],
