"""Reads the models of tasks made of two others, and the parts' circuits; writes what combinations of these do there."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from pathlib import Path

    from rewire.sequential.algebra import Composite, write_algebra

    given, params = snakemake.input, snakemake.params
    pairs = dict(zip(params.tasks, zip(given.validation, given.test, strict=True), strict=True))
    alone = {Path(folder).parent.name: Path(folder) for folder in given.alone}
    composites = [
        Composite(
            name,
            parts,
            Path(folder, params.step),
            pairs,
            {part: alone[part] / part / f"{params.step}.safetensors" for part in parts},
        )
        for (name, parts), folder in zip(params.composites.items(), given.models, strict=True)
    ]
    write_algebra(composites, params.sequential, dict(snakemake.output.items()))
