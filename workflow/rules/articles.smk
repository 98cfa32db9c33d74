"""Articles of every dataset and split as one table each."""


rule write_articles:
    """One split of a dataset: id, article, summary."""
    input:
        file=article_file,
    output:
        "results/articles/{dataset}/{split}.parquet",
    log:
        "logs/articles/{dataset}/{split}.log",
    benchmark:
        "logs/articles/{dataset}/{split}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(held=articles_held),
    params:
        code=code("articles.py"),
        dataset=article_settings,
    script:
        "../scripts/articles.py"


rule articles:
    """Target: the articles of every run."""
    input:
        cells("results/articles/{dataset}/{split}.parquet", SUMMARIZING, split=SPLITS),
