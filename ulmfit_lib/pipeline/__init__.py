"""All stages from one table: plan, parts and their weights, folds, the report, the label budget."""
