"""Reads the tables of all runs; writes each published claim beside our number, with a verdict."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.claims.table import write_claims

    paths = iter(snakemake.input.tables)
    tables = {
        tuple(run): {name: next(paths) for name in names}
        for run, names in zip(snakemake.params.runs, snakemake.params.tables, strict=True)
    }
    write_claims(
        tables,
        snakemake.params.claims,
        snakemake.output.parquet,
        snakemake.output.tsv,
        snakemake.params.identities,
        snakemake.params.data_identities,
        snakemake.params.get("judged"),
    )
