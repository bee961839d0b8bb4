"""The report on a classifier: one HTML page that needs nothing else, to send to whoever has to trust it."""
