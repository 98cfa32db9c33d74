"""Measures that a claim can name, and tests that give a verdict themselves."""

from __future__ import annotations

from collections.abc import Callable

from rewire.claims.bakeoff import lora_difference
from rewire.claims.circuits import (
    bootstrap_jaccard,
    circuit_minus_best_random,
    edge_centric_verdict,
    edge_change_beyond_floor,
    edge_jaccard_to_base,
    edges_beyond_nodes,
    kl_percentage,
    kl_percentage_change,
)
from rewire.claims.differential import (
    attention_kl_peak,
    critical_among,
    neuron_rank,
    share_of_heads_with_falling_entropy,
    share_of_layers_with_falling_entropy,
)
from rewire.claims.frames import Tables
from rewire.claims.probes import NONE, leading_among, leading_layer, more_by, neurons_among, probability
from rewire.claims.sequential import (
    add_sub_at,
    change_at,
    change_falls,
    combined,
    edge_centric_over_tasks,
    edges_beyond_nodes_over_tasks,
    inside_minus,
    regression,
)
from rewire.claims.summaries import (
    fact_share,
    mask_effect,
    mask_minus_random_effect,
    rouge1,
    rouge1_gain,
)
from rewire.statistics import Estimate

NATS = "nats/token"
STUDENT = "Michelle Jones was a top-notch student. Michelle"
POINTS = "ROUGE-1 points"
TURNOVER = "|A△B| / |A|"
MEASURES: dict[str, tuple[Callable[[Tables], Estimate | None], str]] = {
    "mask_effect": (mask_effect, NATS),
    "mask_minus_random_effect": (mask_minus_random_effect, NATS),
    "rouge1_gain": (rouge1_gain, POINTS),
    "rouge1": (rouge1, "ROUGE-1"),
    "base_fact_share": (fact_share("summaries_base"), "percent of facts"),
    "fact_share": (fact_share("summaries"), "percent of facts"),
    "share_of_heads_with_falling_entropy": (share_of_heads_with_falling_entropy, "share of heads"),
    "attention_kl_peak": (attention_kl_peak, "layer"),
    "critical_among_2_3_5": (critical_among(2, 3, 5), "of the three layers"),
    "rank_of_neuron_5_304": (neuron_rank(5, 304), "rank in its layer"),
    "circuit_minus_best_random": (circuit_minus_best_random, "normalised faithfulness"),
    "kl_percentage_base": (kl_percentage("faithfulness_base"), "percent"),
    "kl_percentage": (kl_percentage("faithfulness"), "percent"),
    "kl_percentage_change": (kl_percentage_change, "percentage points"),
    "edge_jaccard_to_base": (edge_jaccard_to_base, "Jaccard"),
    "edge_change_beyond_floor": (edge_change_beyond_floor, "Jaccard"),
    "edges_beyond_nodes": (edges_beyond_nodes, "1 - Jaccard"),
    "bootstrap_jaccard": (bootstrap_jaccard, "Jaccard"),
    "share_of_layers_with_falling_entropy": (share_of_layers_with_falling_entropy, "share of layers"),
    "lora_circuit_minus_standard": (lora_difference("circuit", "standard"), POINTS),
    "lora_circuit_minus_random": (lora_difference("circuit", "random"), POINTS),
    "lora_targeted_minus_standard": (lora_difference("targeted", "standard"), POINTS),
    "lora_random_minus_standard": (lora_difference("random", "standard"), POINTS),
    # whatever the budgets
    **{
        f"lora_{name}_minus_standard_unmatched": (lora_difference(name, "standard", matched=False), POINTS)
        for name in ("circuit", "targeted", "random")
    },
    # of a study's probes (a claim's `study`); NONE: of the whole layer
    "attention_that_recovers_most": (leading_layer("attention_out"), "layer"),
    "mlps_8_and_10_among_two": (leading_among("mlp_out", (8, NONE), (10, NONE)), "of the two MLPs"),
    "heads_7_11_10_1_11_8_among_three": (leading_among("z", (7, 11), (10, 1), (11, 8)), "of the three heads"),
    "head_7_11_value_minus_pattern": (more_by("v", "pattern", (7, 11)), "share recovered"),
    "neurons_8_2744_10_1063_10_2193_among_ten": (
        neurons_among(10, (8, 2744), (10, 1063), (10, 2193)),
        "of the three neurons",
    ),
    "p_was_after_michelle_jones": (probability(STUDENT, " was"), "probability"),
    "p_jones_after_michelle_jones": (probability(STUDENT, " Jones"), "probability"),
    # sequential fine-tuning
    "forgetting_overlap_r": (regression("linear", "r"), "Pearson's r"),
    "forgetting_overlap_rho": (regression("spearman", "rho"), "Spearman's rho"),
    "forgetting_overlap_r2": (regression("linear", "r2"), "R²"),
    "forgetting_overlap_logistic_r2": (regression("logistic", "r2"), "R²"),
    "inside_minus_outside": (inside_minus("outside"), "share of accuracy"),
    "inside_minus_random": (inside_minus("random"), "share of accuracy"),
    **{
        f"{kind}_change_{number}": (change_at(kind, number), TURNOVER)
        for kind in ("edge", "node")
        for number in range(1, 7)
    },
    "edge_change_falls": (change_falls, TURNOVER),
    "edges_beyond_nodes_over_tasks": (edges_beyond_nodes_over_tasks, "1 - Jaccard"),
    **{
        f"add_sub_kl_percentage_at_{percent:g}": (add_sub_at(percent / 100), "percent")
        for percent in (0.1, 0.5, 1, 2, 3, 5, 10, 15, 30, 50)
    },
    "union_kl_percentage": (combined("union", "kl_percentage"), "percent"),
    "union_lead": (combined("union", "lead"), "normalised faithfulness"),
    "union_lead_at_equal_edges": (combined("union-as-own", "lead"), "normalised faithfulness"),
}
# tests that give a verdict themselves, by more than where one interval lies
TESTS: dict[str, Callable[[Tables], str]] = {
    "edge_centric": edge_centric_verdict,
    "edge_centric_over_tasks": edge_centric_over_tasks,
}
