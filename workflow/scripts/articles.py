"""Reads a dataset's catalogue entry (and its local file); writes one split as id, article, summary."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.articles.sources import write_articles

    write_articles(snakemake.params.dataset, snakemake.wildcards.split, snakemake.output[0])
