"""Keys of the config, another value of each, and what that plans: read by test_keys.py, which asks that none is left out."""

from typing import Any

PRETRAINING, NEWSWIRE, TUNING = "models.small.pretraining.", "datasets.newswire.", "checkpoints.training."
TARGETED, STANDARD = "lora.strategies.targeted.", "lora.strategies.standard."
CLAIM = "claims.gpt2-finetuning-learns."
PRETRAIN, FINETUNE, ARTICLES = {"pretrain"}, {"finetune", "keep_step"}, {"write_articles"}
# what orders the checkpoints by their steps
BY_STEP = {
    "compare_circuits", "follow_training", "draw_layers", "draw_faithfulness", "draw_areas", "draw_circuit_evolution",
}  # fmt: skip
PAIRS = {"build_pairs", "build_continuations"}
SUMMARIZE = {"summarize", "summarize_adapters"}
TRAIN_ONE = {"tune_strategy", "train_adapter"}
TRAIN = TRAIN_ONE | {"tune_draw"}
OF_LANGUAGE = PAIRS | SUMMARIZE | TRAIN | FINETUNE
OF_CORRUPTIONS = {"measure_pairs", "test_robustness"}
COMPARE = {"compare_with_base", "compare_with_last"}
SCORE = {"find_scores", "evaluate_circuit", "test_circuit", "test_robustness"}
EVALUATE, CRITERIA, ROBUSTNESS = {"evaluate_circuit"}, {"test_circuit"}, {"test_robustness"}
EVOLVE = {"compare_circuits"}
RESAMPLE = EVOLVE | {"compare_adapted_circuits"}
OF_RUNS = {"hold_bakeoff", "draw_bakeoff_losses", "add_costs"}
JUDGE = {"judge_claims"}

# key, another value, and the rules whose own settings or inputs it changes (those after them follow)
OF_THE_SMOKE_RUN: dict[str, tuple[Any, set[str]]] = {
    "models.small.architecture.model_type": ("gpt_neox", PRETRAIN),
    "models.small.architecture.n_layer": (3, PRETRAIN),
    "models.small.tokenizer.vocabulary": (601, PRETRAIN),
    "models.small.target_modules": (["attn.c_attn"], TRAIN),
    PRETRAINING + "steps": (41, PRETRAIN),
    PRETRAINING + "batch_size": (9, PRETRAIN),
    PRETRAINING + "learning_rate": (1e-3, PRETRAIN),
    PRETRAINING + "schedule": ("linear", PRETRAIN),
    PRETRAINING + "warmup": (6, PRETRAIN),
    PRETRAINING + "weight_decay": (0.5, PRETRAIN),
    PRETRAINING + "beta2": (0.9, PRETRAIN),
    PRETRAINING + "log_every": (6, PRETRAIN),
    PRETRAINING + "resume_every": (11, PRETRAIN),
    PRETRAINING + "seed": (1, PRETRAIN),
    NEWSWIRE + "language": ("de", OF_LANGUAGE),
    NEWSWIRE + "rows.train": (201, ARTICLES),
    NEWSWIRE + "rows.validation": (41, ARTICLES),
    NEWSWIRE + "rows.test": (21, ARTICLES),
    NEWSWIRE + "seed": (1, ARTICLES),
    NEWSWIRE + "options": ({"sentences": 5}, ARTICLES),
    "checkpoints.steps": ([15], BY_STEP),
    TUNING + "steps": (21, FINETUNE | BY_STEP),
    TUNING + "batch_size": (9, FINETUNE),
    TUNING + "learning_rate": (1e-3, FINETUNE),
    TUNING + "schedule": ("linear", FINETUNE),
    TUNING + "warmup": (3, FINETUNE),
    TUNING + "weight_decay": (0.5, FINETUNE),
    TUNING + "beta2": (0.9, FINETUNE),
    TUNING + "log_every": (3, FINETUNE),
    TUNING + "resume_every": (11, FINETUNE),
    TUNING + "seed": (1, FINETUNE),
    "pairs.split": ("train", PAIRS),
    "pairs.corruptions": (["mask", "random", "shuffle"], OF_CORRUPTIONS),
    "pairs.examples": (9, PAIRS),
    "pairs.salience.measures": (["rouge2"], PAIRS),
    "pairs.salience.by": ("threshold", PAIRS),
    "pairs.salience.value": (2, PAIRS),
    "pairs.noise_share": (0.4, PAIRS),
    "pairs.seed": (1, PAIRS),
    "differential.positions": (65, COMPARE),
    "differential.permutations": (10001, COMPARE | {"compare_three_ways"}),
    "differential.critical_layers.attention_kl": (2, COMPARE),
    "differential.critical_layers.entropy": (2, COMPARE),
    "differential.critical_layers.activation": (2, COMPARE),
    "differential.top_neurons": (4, {"draw_neurons"}),
    "circuits.corruption": ("random", SCORE | COMPARE),
    "circuits.method": ("EAP", SCORE),
    "circuits.steps": (6, SCORE),
    "circuits.grid": ("right", SCORE),
    "circuits.metric": ("kl", SCORE),
    "circuits.keep_examples": (False, {"find_scores"}),
    "circuits.fraction": (0.2, {"select_circuit", "test_circuit", "test_robustness"}),
    "faithfulness.fractions": ([0.1, 1.0], EVALUATE),
    "faithfulness.random": (21, EVALUATE | CRITERIA),
    "faithfulness.folds": (3, EVALUATE),
    "faithfulness.knockouts": (2, CRITERIA),
    "faithfulness.greedy": (2, CRITERIA),
    "faithfulness.dropped_edges": (99, CRITERIA),
    "faithfulness.seed": (1, EVALUATE | CRITERIA),
    "robustness.splits": (3, ROBUSTNESS),
    "robustness.resamples": (21, ROBUSTNESS),
    "robustness.noise_shares": ([0.5], ROBUSTNESS),
    "robustness.seed": (1, ROBUSTNESS),
    "evolution.fraction": (0.2, RESAMPLE),
    "evolution.resamples": (201, RESAMPLE),
    "evolution.random": (101, RESAMPLE),
    "evolution.controls.same_model": (101, EVOLVE),
    "evolution.controls.rewired": (11, EVOLVE),
    "evolution.alpha": (0.01, EVOLVE),
    "evolution.seed": (1, RESAMPLE),
    "summaries.examples": (7, SUMMARIZE),
    "summaries.batch_size": (7, SUMMARIZE),
    "summaries.max_new_tokens": (13, SUMMARIZE),
    "summaries.beams": (2, SUMMARIZE),
    TARGETED + "layers": ("last", TRAIN_ONE),
    TARGETED + "least": (True, TRAIN_ONE),
    TARGETED + "count": (2, TRAIN_ONE),
    TARGETED + "rank": (3, TRAIN_ONE),
    TARGETED + "modules": (["attn.c_attn"], TRAIN_ONE),
    STANDARD + "higher": ("circuit", TRAIN_ONE),
    STANDARD + "ratio": (2, TRAIN_ONE),
    STANDARD + "heads": ("circuit", TRAIN_ONE),
    STANDARD + "adapter": (False, TRAIN_ONE),
    "lora.strategies.random.draws": (3, OF_RUNS | {"summarize_adapters"}),
    "lora.seeds": ([0, 1, 2], OF_RUNS | {"summarize_adapters"}),
    "lora.critical_layers": (2, TRAIN),
    "lora.rank": (3, TRAIN),
    "lora.alpha_per_rank": (1, TRAIN),
    "lora.dropout": (0.1, TRAIN),
    "lora.target_modules": (["attn.c_attn"], TRAIN),
    "lora.learning_rates": ([1e-3], {"tune_strategy", "tune_draw"}),
    "lora.validate_every": (6, TRAIN),
    "lora.patience": (4, TRAIN),
    "lora.alpha": (0.01, {"hold_bakeoff"}),
    "lora.training.steps": (11, TRAIN),
    "lora.training.batch_size": (9, TRAIN),
    "lora.training.schedule": ("linear", TRAIN),
    "lora.training.warmup": (3, TRAIN),
    "lora.training.weight_decay": (0.5, TRAIN),
    "lora.training.beta2": (0.9, TRAIN),
    "lora.training.log_every": (3, TRAIN),
    "lora.training.resume_every": (6, TRAIN),
    CLAIM + "statement": ("Other words.", JUDGE),
    CLAIM + "source": ("Another source.", JUDGE),
    CLAIM + "published": ("another number", JUDGE),
    CLAIM + "measure": ("rouge1", JUDGE),
    CLAIM + "rule.above": (1, JUDGE),
    CLAIM + "about": (["gpt2"], JUDGE),
    CLAIM + "datasets": (["a/b"], JUDGE),
    CLAIM + "study": ("seen-name", JUDGE),
    "claims.base-cannot-summarize.rule.below": (21, JUDGE),
    "claims.room-to-differ.rule.between": ([60, 96], JUDGE),
    "claims.edges-change-more.rule.test": (None, JUDGE),
}
PROBE = {"patch_study", "patch_neurons", "read_study"}
CROSS = {"cross_study", "cross_pairs"}
STUDY = "probes.studies.seen-name."
# keys that the target `probes` alone reads
OF_THE_PROBES: dict[str, tuple[Any, set[str]]] = {
    STUDY + "file": ("config/studies/seen-name.yaml", PROBE | {"cross_study"}),
    STUDY + "layers": ([1], {"patch_neurons"}),
    STUDY + "position": ("name", {"patch_neurons"}),
    STUDY + "head_positions": (["name"], {"patch_study"}),
    STUDY + "labels": (["name"], {"read_study"}),
    "probes.components": (["mlp_out"], {"patch_study"}),
    "probes.heads": (["z", "v"], {"patch_study"}),
    "probes.top_heads": (2, {"read_study"}),
    "probes.keys": (3, {"read_study"}),
    "probes.top": (3, {"patch_neurons"}),
    "probes.tokens": (3, {"patch_neurons"}),
    "probes.cross_model.components": (["mlp_out"], CROSS),
    "probes.cross_model.heads": (["v"], CROSS),
    "probes.batch_tokens": (4097, PROBE | CROSS),
}
PROBE_FIGURES = dict.fromkeys(
    (
        f"draw_probe_{name}"
        for name in (
            "positions",
            "heads",
            "neurons",
            "logits",
            "attention",
            "patterns",
            "pairings",
            "agreement",
        )
    ),
    1,
)
# on what a study is run, and every job that it plans
CELLS_OF_STUDIES: dict[str, tuple[list[str], dict[str, int]]] = {
    STUDY + "models": ([], {}),  # what is left of the target, the claims, is there
    STUDY + "datasets": ([], {}),
    STUDY + "checkpoints": (
        ["step-000010"],
        dict.fromkeys(PROBE, 1) | PROBE_FIGURES | {"compare_groups": 1, "write_probe_page": 1, "probes": 1},
    ),
}
TASKS, STAGES = {"pretrain_on_tasks", "write_task"}, {"train_task", "train_second_task"}
MEASURE_STAGES, GATHER = {"measure_task", "measure_second_task"}, {"gather_pairs"}
COMBINE, JUDGE_TASKS = {"combine_circuits"}, {"judge_sequential_claims"}
STAGE = "sequential.training."
# keys that the target `sequential` alone reads
OF_SEQUENTIAL: dict[str, tuple[Any, set[str]]] = {
    "sequential.numbers.largest": (10, TASKS),
    "sequential.numbers.negative": (True, TASKS),
    "sequential.numbers.splits": ("drop", TASKS),
    "sequential.rows.train": (41, TASKS),
    "sequential.rows.validation": (11, TASKS),
    "sequential.rows.test": (11, TASKS),
    "sequential.seed": (
        1,
        TASKS | MEASURE_STAGES | COMBINE | GATHER | {"regress_forgetting", "draw_sequential_forgetting"},
    ),
    "sequential.base.tasks": (["digit_sum"], {"pretrain_on_tasks"}),
    "sequential.base.prompts": (6, {"pretrain_on_tasks"}),
    "sequential.variants.kept.adapters": ("stacked", {"train_second_task"}),
    "sequential.variants.kept.rate": (0.5, GATHER | {"train_second_task", "draw_sequential_masked"}),
    "sequential.variants.inside.circuit": ("outside", {"train_second_task"}),
    "sequential.variants.random.seed": (1, {"train_second_task"}),
    "sequential.steps": ([6], STAGES | MEASURE_STAGES),
    STAGE + "steps": (11, STAGES | MEASURE_STAGES | COMBINE),
    STAGE + "batch_size": (9, STAGES),
    STAGE + "learning_rate": (1e-4, STAGES),
    STAGE + "schedule": ("linear", STAGES),
    STAGE + "warmup": (3, STAGES),
    STAGE + "weight_decay": (0.5, STAGES),
    STAGE + "beta2": (0.9, STAGES),
    STAGE + "log_every": (3, STAGES),
    STAGE + "resume_every": (6, STAGES),
    STAGE + "seed": (1, STAGES),
    "sequential.full": (True, STAGES),
    "sequential.adapter.rank": (3, STAGES),
    "sequential.adapter.alpha_per_rank": (1, STAGES),
    "sequential.adapter.dropout": (0.1, STAGES),
    "sequential.adapter.target_modules": (["attn.c_attn", "mlp.c_fc"], STAGES),
    "sequential.fraction": (0.2, MEASURE_STAGES | COMBINE),
    "sequential.examples": (7, MEASURE_STAGES | COMBINE),
    "sequential.random": (21, MEASURE_STAGES | COMBINE),
    "sequential.resamples": (101, MEASURE_STAGES),
    "sequential.alpha": (0.01, MEASURE_STAGES),
    "sequential.controls.same_model": (11, MEASURE_STAGES),
    "sequential.controls.rewired": (3, MEASURE_STAGES),
    "sequential.learned": (0.5, GATHER),
    "sequential.judged": ("inside", JUDGE_TASKS),
    # the tasks themselves: a model from scratch has their words
    "sequential.tasks": (["max", "add", "min"], {"pretrain_on_tasks"} | GATHER),
    "sequential.alone": (["sub", "min"], {"pretrain_on_tasks"} | GATHER),
    "sequential.pairs": ([["add", "max"]], GATHER),
    "sequential.variants.inside.pairs": ([["max", "add"]], GATHER),
    "sequential.multi": ([], GATHER | JUDGE_TASKS),
    "claims.union-as-faithful.rule.above": (-0.2, JUDGE_TASKS),
}
# bounds of memory: results change by rounding at most, but a table should never mix two ways to compute it
BOUNDS: dict[str, tuple[Any, set[str]]] = {
    "differential.batch_tokens": (4097, COMPARE),
    "circuits.batch_tokens": (4097, SCORE),
    "faithfulness.batch_tokens": (4097, EVALUATE | CRITERIA),
}
# the default run has no strategy that chooses heads
WITHOUT_EFFECT: dict[str, Any] = {"lora.critical_heads": 3}
# names of cells, not settings: test_rebuilds adds models and datasets to the catalogue and the runs; and a single value
ELSEWHERE = {"runs[].model", "runs[].dataset", "models.*.tokenizer.words"}

SPLITS = {"train": "train", "validation": "validation", "test": "test"}
# entries of the catalogues of every other source, and files that count as made of them
FOREIGN: dict[str, Any] = {
    "models.hubby": {"source": "hub", "id": "a/b", "adapter": "c/d", "checkpoints": {"tuned": "e/f"}},
    "models.filed": {"source": "local", "path": "nowhere"},
    "models.borrowing": {
        "source": "scratch",
        "architecture": {"model_type": "gpt2"},
        "tokenizer": {"path": "nowhere"},
        "pretraining": {"steps": 1, "batch_size": 1, "learning_rate": 0.1},
    },
    "datasets.hubset": {
        "source": "hub", "id": "a/b", "name": "n", "revision": "r", "splits": SPLITS,
        "columns": {"id": "i", "article": "a", "summary": "s"},
    },
    "datasets.fileset": {"source": "files", "files": {"all": "Snakefile"}, "splits": dict.fromkeys(SPLITS, "all")},
    "datasets.adding": {"source": "sums", "digits": 2},
}  # fmt: skip
HUBBY, FILED, BORROWING = (
    f"results/checkpoints/{name}/newswire/base" for name in ("hubby", "filed", "borrowing")
)
TUNED = "results/checkpoints/hubby/newswire/tuned"
HUBSET, FILESET = (
    [f"results/articles/{name}/{split}.parquet" for split in SPLITS] for name in ("hubset", "fileset")
)
ADDING = "results/pairs/hubby/adding/mask.parquet"
FOLDERS = [HUBBY, FILED, BORROWING, TUNED]
FILES = [*HUBSET, *FILESET, ADDING, "results/checkpoints/borrowing/newswire/pretraining.parquet"]
# key, another value, the target it belongs to
OF_OTHER_SOURCES: dict[str, tuple[Any, list[str]]] = {
    "models.hubby.id": ("a/c", [HUBBY]),
    "models.hubby.adapter": ("c/e", [HUBBY]),
    "models.hubby.allow_pickle": (True, [HUBBY, TUNED]),
    "models.hubby.checkpoints.tuned": ("e/g", [TUNED]),
    "models.filed.path": ("elsewhere", [FILED]),
    "models.filed.source": ("hub", [FILED]),
    "models.borrowing.tokenizer.path": ("elsewhere", [BORROWING]),
    "datasets.hubset.id": ("a/c", HUBSET),
    "datasets.hubset.name": ("m", HUBSET),
    "datasets.hubset.revision": ("q", HUBSET),
    "datasets.hubset.splits.train": ("train[:9]", HUBSET[:1]),
    "datasets.hubset.splits.validation": ("validation[:9]", HUBSET[1:2]),
    "datasets.hubset.splits.test": ("test[:9]", HUBSET[2:]),
    "datasets.hubset.columns.id": ("j", HUBSET),
    "datasets.hubset.columns.article": ("b", HUBSET),
    "datasets.hubset.columns.summary": ("t", HUBSET),
    "datasets.fileset.source": ("hub", FILESET),
    "datasets.fileset.files.all": ("config/smoke.yaml", FILESET),
    "datasets.adding.digits": (3, [ADDING]),
}

HEADS = "results/lora/small/newswire/circuit-heads"
READER = "results/sequential/reader"
# what the smoke run leaves out, with folders and files that count as made: presets on top of it
LEFT_OUT: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "heads": (
        {"lora.strategies.circuit-heads": {"heads": "circuit"}},
        [f"{HEADS}/seed-0/adapter", "results/checkpoints/small/newswire/lora-circuit-heads"],
        [f"{HEADS}/tuning.parquet"],
    ),
    "summarization": (
        {
            "models.reader": {"source": "local", "path": "results/checkpoints/small/newswire/base"},
            "datasets.other": {
                "source": "newswire",
                "rows": {"train": 9, "validation": 9, "test": 9},
                "seed": 0,
            },
            "sequential.models": ["reader"],
            "sequential.tasks": ["summarization", "add"],
            "sequential.articles": {"dataset": "newswire", "corruption": "mask"},
            "sequential.variants": dict.fromkeys(("prior", "inside", "outside", "random")),
            "sequential.multi": [],
        },
        [f"{READER}/base"],
        [f"{READER}/tasks/summarization/train.parquet"],
    ),
}
# key, which of LEFT_OUT, another value, and the rule that reads it
OF_WHAT_IS_LEFT_OUT: dict[str, tuple[str, Any, str]] = {
    "lora.critical_heads": ("heads", 3, "tune_strategy"),
    "sequential.articles.dataset": ("summarization", "other", "write_summarization"),
    "sequential.articles.corruption": ("summarization", "random", "write_summarization"),
}
