"""What helps to understand and improve a model: which texts to label, wrong labels, diagnosis, drift."""
