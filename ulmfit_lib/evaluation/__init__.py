"""How good and how sure: scores, certainty, learning curves, plots; knows nothing of models."""
