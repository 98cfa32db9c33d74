import ast
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

import rewire
from rewire.figures import (
    areas,
    criteria,
    critical_layers,
    cross_model,
    curves,
    edge_centric,
    evolution,
    evolution_layers,
    faithfulness,
    neurons,
    pairs,
    probe_agreement,
    probe_neurons,
    probe_pairings,
    probe_patterns,
    probe_positions,
    probe_tables,
    robustness,
    strategies,
    training,
)
from rewire.figures.style import checkpoint_colours, checkpoint_label

MODULES = (
    "training",
    "pairs",
    "layers",
    "heads",
    "critical_layers",
    "neurons",
    "trajectories",
    "three_way",
    "faithfulness",
    "areas",
    "criteria",
    "evolution",
    "evolution_layers",
    "edge_centric",
    "circuit_evolution",
    "robustness",
    "circuit",
    "bakeoff",
    "bakeoff_losses",
    "bakeoff_parameters",
    "bakeoff_circuits",
    "claims",
    "probe_positions",
    "probe_heads",
    "probe_neurons",
    "probe_logits",
    "probe_attention",
    "probe_patterns",
    "probe_page",
    "probe_pairings",
    "probe_agreement",
    "cross_model",
)


def test_figures_start_without_torch_and_leave_the_theme_at_home():
    code = f"""
import matplotlib, sys
before = dict(matplotlib.rcParams)
{"".join(f"import rewire.figures.{name}" + chr(10) for name in MODULES)}
assert dict(matplotlib.rcParams) == before
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_checkpoint_labels():
    assert checkpoint_label("base", 0) == "base"
    assert checkpoint_label("step-001000", 1000) == "step 1,000"
    assert checkpoint_label("final", 1500) == "final (step 1,500)"
    assert checkpoint_label("final") == "final"


@pytest.mark.parametrize("n", [1, 2, 7])
def test_checkpoint_colours_are_distinct_and_the_last_is_the_darkest(n):
    names = ["base", *(f"step-{i}" for i in range(n))]
    colours = checkpoint_colours(names)
    assert len({colours[name] for name in names}) == n + 1
    light = [sum(matplotlib.colors.to_rgb(colours[name])) for name in names[1:]]
    assert min(light) == light[-1]


@pytest.mark.parametrize(
    ("read", "module", "schema"),
    [
        (training.COLUMNS, "checkpoints/training.py", "SCHEMA"),
        (pairs.EFFECTS, "pair_effect.py", "SCHEMA"),
        (pairs.AGREEMENT, "robustness.py", "AGREEMENT"),
        (robustness.AGREEMENT, "robustness.py", "AGREEMENT"),
        (robustness.EDGES, "robustness.py", "EDGES"),
        (curves.SUMMARY, "differential/summary.py", "SCHEMA"),
        (neurons.COLUMNS, "differential/neurons.py", "SCHEMA"),
        (faithfulness.COLUMNS, "faithfulness/curve.py", "SCHEMA"),
        (areas.COLUMNS, "faithfulness/areas.py", "SCHEMA"),
        (criteria.COLUMNS, "faithfulness/criteria.py", "SCHEMA"),
        (evolution.COLUMNS, "evolution/changes.py", "CHANGES"),
        (evolution_layers.CIRCUITS, "evolution/changes.py", "SCHEMA"),
        (evolution_layers.LAYERS, "evolution/changes.py", "LAYERS"),
        (edge_centric.COLUMNS, "evolution/hypothesis.py", "SCHEMA"),
        (critical_layers.COLUMNS, "lora/criticality.py", "SCHEMA"),
        (strategies.COLUMNS, "lora/bakeoff.py", "SCHEMA"),
        (probe_tables.SUMMARY, "probes/summary.py", "SCHEMA"),
        (probe_pairings.PAIRINGS, "probes/pairings.py", "SCHEMA"),
        (probe_agreement.COLUMNS, "probes/agreement.py", "SCHEMA"),
        (probe_patterns.COLUMNS, "probes/patterns.py", "SCHEMA"),
        (cross_model.COLUMNS, "probes/cross_model.py", "SUMMARY"),
    ],
)
def test_tables_of_the_workflow_have_the_columns_that_figures_read(read, module, schema):
    tree = ast.parse(
        (Path(rewire.__file__).parent / module).read_text()
    )  # read, since importing it takes torch
    assigned = {
        ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)
    }
    assert set(read) <= {column.arg for column in assigned[schema].keywords}


def test_tables_of_the_probes_have_the_columns_that_figures_read():
    from rewire.probes import grid, neuron_tables  # their columns are not all written out

    assert set(probe_positions.PROMPTS) <= set(grid.PROMPTS.names)
    assert set(probe_positions.PATCHES) <= set(grid.SCHEMA.names)
    assert set(probe_neurons.COLUMNS) <= set(neuron_tables.SCHEMA.names)
