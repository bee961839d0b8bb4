"""Files -> tables of texts and labels, and tables of predictions -> files; what knows pandas."""
