"""How good, how sure: scores, the baseline, plots; knows nothing of torch."""
