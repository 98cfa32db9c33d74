"""Reads the table of pairs; writes the regressions of forgetting on overlap."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.sequential.regression import write_regression

    write_regression(snakemake.input.pairs, snakemake.output[0], snakemake.params.sequential)
