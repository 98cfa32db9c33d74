"""Reads every run's summaries and plan; writes the bake-off's table."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.lora.bakeoff import write_bakeoff

    runs = [tuple(run) for run in snakemake.params.runs]
    write_bakeoff(
        dict(zip(runs, snakemake.input.summaries, strict=True)),
        {run: f"{folder}/plan.parquet" for run, folder in zip(runs, snakemake.input.adapters, strict=True)},
        {"base": snakemake.input.base, "full": snakemake.input.full[0]},
        snakemake.output[0],
    )
