"""Reads articles and the base model's tokenizer; writes clean/corrupted token pairs."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.pair_table import write_pairs

    write_pairs(
        snakemake.input.articles,
        snakemake.input.base,
        snakemake.params.corruption,
        snakemake.params.pairs,
        snakemake.output[0],
        snakemake.params.language,
        snakemake.params.task,
    )
