"""One training run, start to verdict: weekly folds, pooled evidence, the gate, and what is kept of it."""
