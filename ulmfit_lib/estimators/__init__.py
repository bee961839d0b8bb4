"""The library as scikit-learn knows it: a classifier and a transformer of texts."""
