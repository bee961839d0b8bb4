"""What predicts with numpy alone: TF-IDF terms under logistic regression, and how parts are weighed together."""
