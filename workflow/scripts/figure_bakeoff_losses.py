"""Reads every run's folder and every strategy's tuning table; draws losses step by step and the rates tried."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.bakeoff_losses import draw

    names = [(strategy, seed) for strategy, seed in snakemake.params.runs]
    draw(
        dict(zip(names, snakemake.input.adapters, strict=True)),
        snakemake.input.tuning,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
