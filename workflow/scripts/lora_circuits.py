"""Reads the scores of base, last checkpoint and every adapted model; writes how far their circuits agree."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.lora.circuits import write_adapted_circuits

    files = [snakemake.input.base, *snakemake.input.last, *snakemake.input.adapted]
    write_adapted_circuits(
        dict(zip(snakemake.params.models, files, strict=True)),
        snakemake.params.evolution,
        snakemake.output[0],
    )
