"""Reads a base model's tokenizer; writes the pairs of one task, one table a split."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.sequential.tasks.table import write_task

    settings = snakemake.params.sequential
    write_task(
        snakemake.wildcards.task,
        snakemake.input.base,
        settings["rows"],
        settings["seed"],
        dict(snakemake.output.items()),
        settings["numbers"],
    )
