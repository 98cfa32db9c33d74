"""What the bake-off says of a difference between two strategies."""

BETTER, WORSE, NO_DIFFERENCE = "better", "worse", "no difference found"
SEEDS = 3  # of either strategy: fewer say how these runs differ, not how the strategies do
