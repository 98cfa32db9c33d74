"""Reads the differential tables of all checkpoints and the training table, if any; writes them against the training step."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.differential.trajectories import write_trajectories

    names = ("summary", "neurons", "weights")
    files = zip(*(snakemake.input[name] for name in names), strict=True)
    tables = [dict(zip(names, paths, strict=True)) for paths in files]
    write_trajectories(
        dict(zip(snakemake.params.checkpoints, tables, strict=True)),
        snakemake.params.steps,
        next(iter(snakemake.input.training), None),
        snakemake.output[0],
    )
