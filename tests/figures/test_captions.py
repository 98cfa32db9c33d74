"""The captions of the Snakemake report: one for every figure in it, and each is sound reStructuredText."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined

WORKFLOW = Path(__file__).parents[2] / "workflow"
CAPTIONS = sorted((WORKFLOW / "report").glob("*.rst"))


def test_every_figure_of_the_report_has_a_caption_and_every_caption_a_figure():
    rules = (WORKFLOW / "rules/figures.smk").read_text()
    named = re.findall(r'\*\*reported\("([\w-]+)"', rules) + re.findall(r'"../report/([\w-]+)\.rst"', rules)
    probes = (WORKFLOW / "rules/probe_figures.smk").read_text()
    named += [f"probe_{name}" for name in re.findall(r'\*\*probed\("(\w+)"', probes)]
    named += re.findall(r'"\.\./report/([\w-]+)\.rst"', probes)
    named += re.findall(r'\*\*shown\([^)]*?"(cross_\w+)"', probes)
    sequential = (WORKFLOW / "rules/sequential_figures.smk").read_text()
    named += [f"sequential_{name}" for name in re.findall(r'\*\*sequential_figure\("(\w+)"', sequential)]
    assert len(named) > 5 and sorted(named) == [path.stem for path in CAPTIONS]


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_captions_are_sound(path):
    cell = SimpleNamespace(model="small", dataset="newswire", checkpoint="final", study="names")
    job = SimpleNamespace(wildcards=cell)
    text = (
        Environment(undefined=StrictUndefined, autoescape=False)
        .from_string(path.read_text())
        .render(snakemake=job)
    )
    html = publish_parts(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})["body"]
    words = " ".join(html.split())
    subject = "small" if path.stem.startswith("sequential") else "small on newswire"
    assert len(words) > 300 and (subject in words or path.stem == "claims")
