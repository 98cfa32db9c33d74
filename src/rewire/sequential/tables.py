"""The tables that sequential fine-tuning writes, column by column. Definitions: docs/definitions.md, "Sequential fine-tuning".

Where they are, for a model and a run:

    results/sequential/{model}/{run}/measures.parquet    MEASURES
    results/sequential/{model}/{run}/changes.parquet     CHANGES
    results/sequential/{model}/{run}/turnover.parquet    TURNOVER
    results/sequential/{model}/{run}/layers.parquet      LAYERS
    results/sequential/{model}/{run}/edge_centric.parquet   EDGE_CENTRIC
    results/sequential/{model}/{run}/cross.parquet       CROSS, of a sequential run alone
    results/sequential/{model}/{run}/overlaps.parquet    OVERLAPS, of a sequential run alone
    results/sequential/{model}/checkpoints.parquet       CHECKPOINTS, MEASURES of every run
    results/sequential/{model}/changes.parquet           CHANGES of every run; turnover, layers, edge_centric likewise
    results/sequential/{model}/pairs.parquet             PAIRS, a row a sequential run

A run is ``add`` (one task), ``add-max/kept`` (a second task after a first one, by a variant of the config) or
``add+max`` (tasks together). Its circuits, with each example's scores: ``{run}/circuits/{task}/step-000060.safetensors``
for every task that is measured and every step, those of step 0 of the first task excepted: they are the first run's last.
"""

from __future__ import annotations

import pyarrow as pa

from rewire.tables import schema

# what tells a run from others; in every table
RUN = {
    "run": "string",  # its name, as in its path
    "kind": "string",  # single, sequential or multi
    "variant": "string",  # of a sequential run: a key of sequential.variants, else null
    "first": "string",  # task of the first stage; of a single run its task, of a multi-task run null
    "second": "string",  # task of the second stage (after the first as a prior); null but for a sequential run
    "tasks": "list<string>",  # that this run's own training is on
}
# a value with its 95 % interval: percentile bootstrap over the examples that it is measured on
FAITHFULNESS = (
    "normalised",  # f = (m - b') / (b - b') of mean NLL; 1: as the whole model, 0: as the corrupted run
    "nll_excess",  # mean NLL(circuit) - NLL(whole model), nats
    "kl",  # KL(whole || circuit), nats
    "kl_reverse",  # KL(circuit || whole), nats
    "kl_percentage",  # (1 - |B - C| / B) * 100, B = KL(corrupted || whole), C = KL(corrupted || circuit)
    "accuracy_ratio",  # accuracy of the circuit / of the whole model
)
NULLED = (
    "normalised",
    "kl_percentage",
    "accuracy",
)  # set beside random circuits: mean, 5th and 95th percentile


def with_interval(*names: str) -> dict[str, str]:
    """Columns of a value, and of the ends of its interval, ``_low`` and ``_high``; NaN where there is none."""
    return {name + end: "float64" for name in names for end in ("", "_low", "_high")}


CIRCUIT = {
    "edges": "int32",  # of the circuit, after pruning; `requested_edges` before
    "nodes": "int32",
    "requested_edges": "int32",
    **with_interval("circuit_accuracy", *FAITHFULNESS),
    **with_interval(*(f"random_{name}" for name in NULLED)),
    "random_circuits": "int32",  # of as many edges, with the same layer profile
    "examples": "int32",  # test examples that all of these are measured on
}
# one row a task that is measured and a checkpoint of the run
MEASURES = schema(
    **RUN,
    task="string",  # that the row is measured on
    step="int64",  # of this run's own training; 0 is what it starts from
    checkpoint="string",  # step-000060
    validation_accuracy="float64",  # of the model, 0..1; by this `learned` is judged
    **with_interval(
        "accuracy"
    ),  # of the model on the test examples, 0..1: the answer is the most likely of all tokens
    **CIRCUIT,
    # f of the model without the circuit's edges, and without each random circuit's: 0, nothing is left
    **with_interval("necessity", "random_necessity"),
    corrupted_accuracy="float64",  # of the model on the corrupted prompts, by the clean prompts' answers
    completeness_gap="float64",  # of the scores that the circuit is chosen by
    correct="list<float>",  # [examples] of `accuracy`: 0 or 1; of an answer of several tokens the share that is right
    circuit_correct="list<float>",  # [examples] of `circuit_accuracy`
    nll="list<double>",  # [examples] of the circuit, nats
)
# MEASURES of all runs
CHECKPOINTS = pa.schema(
    [*MEASURES, ("learned", pa.bool_())]  # validation accuracy reached the task's threshold
)
# a checkpoint after step 0 beside an earlier one, of a task that is measured
COMPARISON = {
    **RUN,
    "task": "string",
    "step": "int64",
    "checkpoint": "string",
    "reference": "string",  # previous (checkpoint) or base (step 0 of the run)
    "reference_checkpoint": "string",
}
# one row a comparison and measure of change; the columns of results/evolution
CHANGES = schema(
    **COMPARISON,
    measure="string",  # edge_jaccard, edge_turnover (|A xor B| / |A|), edge_unshared (1 - |A and B| / k), node_..., weighted_jaccard, spearman
    value="float64",
    low="float64",  # 95 % interval
    high="float64",
    # two bootstrap samples of the examples of one model, the checkpoint and the reference: mean, 5th, 95th percentile
    **with_interval("floor", "reference_floor"),
    # change beyond the less stable model's floor, 95 %: > 0 is more than noise
    **with_interval("beyond"),
    # random circuits of both sizes and layer profiles: mean, 5th, 95th percentile; none for measures of scores
    **with_interval("random"),
    examples="int32",  # that the circuits are scored on (validation)
)
# births and deaths: one row a comparison
TURNOVER = schema(
    **COMPARISON,
    edges="int32",  # of the checkpoint's circuit
    nodes="int32",
    edges_born="int32",  # in the checkpoint's circuit alone
    edges_lost="int32",  # in the reference's alone
    nodes_born="int32",
    nodes_lost="int32",
    examples="int32",  # that the circuits are scored on (validation)
)
# the same by layer: one row a comparison, end and layer
LAYERS = schema(
    **COMPARISON,
    end="string",  # source: edges that start from the layer, -1 for the embedding; destination: that arrive, L for the logits
    layer="int32",
    edges_before="int32",
    edges_after="int32",
    edges_born="int32",
    edges_lost="int32",
)
# the edge-centric test: one row a comparison. Changes are 1 - Jaccard
EDGE_CENTRIC = schema(
    **COMPARISON,
    examples="int32",
    edge_change="float64",
    node_change="float64",
    edge_floor="float64",  # mean of both models' noise floors
    node_floor="float64",
    edge_replaced="float64",  # if the heads of each layer trade places
    node_replaced="float64",
    statistic="float64",  # > 0: edges change more than the node change explains
    low="float64",  # interval at 1 - alpha
    high="float64",
    p="float64",  # the largest of p_noise, p_edge, p_sampling
    q="float64",  # of p, over the comparisons of all runs; in the table of all runs alone
    p_noise="float64",
    p_edge="float64",
    p_sampling="float64",
    p_node="float64",
    alpha="float64",
    verdict="string",  # supported, not supported, inconclusive
    # shares of known cases that the test rejects: the task's at its last checkpoint; in the table of all runs of all of them
    **with_interval("false_positives"),
    false_positives_pairs="int32",
    **with_interval("power"),
    power_pairs="int32",
)
# how circuits change over the checkpoints of a run: every kind of run has these
EVOLUTION = {"changes": CHANGES, "turnover": TURNOVER, "layers": LAYERS, "edge_centric": EDGE_CENTRIC}
# one row a direction: a circuit on the other task's test prompts, in the model that has learned that task
CROSS = schema(
    **RUN,
    circuit_of="string",  # first: found before the second stage; second: found after it
    judged_on="string",  # the other one; by the model after the second stage (second) or before it (first)
    **CIRCUIT,
    own_normalised="float64",  # of the judged task's own circuit, same model and examples
    own_kl_percentage="float64",
)
# one row a pair of circuits and measure: as `measure`, `value` and `random` of CHANGES
OVERLAPS = schema(
    **RUN,
    before="string",  # first_before, second_before (in the same model: that the second stage starts from), second_alone
    after="string",  # first_after, second_after, second_alone (after single training on the second task)
    measure="string",
    value="float64",
    low="float64",  # 95 % interval over the examples that both circuits are scored on
    high="float64",
    **with_interval("random"),
)
# one row a sequential run; intervals over test examples, those of overlaps over validation examples
PAIRS = schema(
    **RUN,
    learned="bool",  # the first task: validation accuracy at the start of the second stage reached the threshold
    second_learned="bool",  # the second task, at the end
    threshold="float64",  # of the first task
    second_threshold="float64",
    **with_interval("first_accuracy_before", "first_accuracy_after"),
    **with_interval("forgetting"),  # (before - after) / before of the first task; null unless learned
    **with_interval("second_accuracy_before", "second_accuracy_after", "second_accuracy_alone"),
    **with_interval(
        "gain"
    ),  # second_accuracy_after - second_accuracy_alone; null unless the variant has the full rate
    # Jaccard of the first task's circuit before and the second's after: what forgetting is regressed on
    **with_interval("edge_jaccard", "node_jaccard", "weighted_jaccard"),
    # the same against the second task's circuit when it is trained alone: known before the second stage
    **with_interval("edge_jaccard_alone", "node_jaccard_alone", "weighted_jaccard_alone"),
    # the first task's circuit before and after: how far it is kept
    **with_interval("edge_jaccard_kept", "node_jaccard_kept", "weighted_jaccard_kept"),
    # CROSS: the first task's circuit before on the second task, and the second task's after on the first
    **with_interval("first_on_second", "first_on_second_kl_percentage"),
    **with_interval("second_on_first", "second_on_first_kl_percentage"),
    **with_interval("first_on_second_random", "second_on_first_random"),  # f of random circuits there
    examples="int32",  # test examples of the first task
    parameters="int64",  # that the second stage trained; those held at 0 are not among them
)
