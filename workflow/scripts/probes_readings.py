"""Reads a checkpoint, a study and its patch grid; writes direct attribution, logit lens, attention and leading heads."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.probes.stage import write_readings

    write_readings(
        snakemake.input.checkpoint,
        snakemake.input.study,
        snakemake.input.patches,
        snakemake.params.probes,
        dict(snakemake.output.items()),
    )
