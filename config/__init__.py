"""Settings as data: the defaults, examples for each mode, parameter sets and recipes; no code."""
