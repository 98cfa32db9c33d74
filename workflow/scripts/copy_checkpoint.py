"""Reads a model from the Hub or a local directory; writes it as a checkpoint folder."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.checkpoints.published import copy_checkpoint

    source = snakemake.params.source
    copy_checkpoint(
        source["id"] if source["source"] == "hub" else source["path"],
        snakemake.output[0],
        adapter=source.get("adapter"),
        allow_pickle=source.get("allow_pickle", False),
    )
