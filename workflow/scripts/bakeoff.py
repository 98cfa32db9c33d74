"""Reads every run's summaries, plan and losses; writes a table of the runs and one of the strategies."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.lora.bakeoff import write_bakeoff
    from rewire.lora.runs import read_runs, write_runs

    names = [(strategy, seed) for strategy, seed in snakemake.params.runs]
    summaries = dict(zip(snakemake.params.strategies, snakemake.input.summaries, strict=True))
    runs = read_runs(
        {name: summaries[name[0]] for name in names},
        dict(zip(names, snakemake.input.adapters, strict=True)),
    )
    write_runs(runs, snakemake.output.runs)
    write_bakeoff(runs, snakemake.input.base, snakemake.output.table, snakemake.params.alpha)
