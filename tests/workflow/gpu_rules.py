"""The rules that run a model: read by the tests of what jobs ask for, on one machine and on a cluster."""

ON_GPU = {
    "pretrain", "finetune", "keep_step", "tune_strategy", "tune_draw", "train_adapter", "pretrain_on_tasks", "train_task",
    "train_second_task", "find_scores", "compare_with_base", "compare_with_last", "evaluate_circuit", "test_circuit",
    "test_robustness", "measure_pairs", "summarize", "summarize_adapters", "patch_study", "patch_neurons", "read_study",
    "cross_study", "cross_pairs", "measure_task", "measure_second_task", "judge_task", "combine_circuits", "grow_circuit",
}  # fmt: skip
