"""Does this pipeline cheat, and would it know an edge: causality, martingales, planted edges."""
