"""Reads the differential analysis' critical layers and the circuits before and after; writes how much each layer changed."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.lora.criticality import write_criticality

    write_criticality(
        snakemake.input.differential[0],
        snakemake.input.before,
        snakemake.input.after[0],
        snakemake.output[0],
    )
