"""A classifier behind HTTP, and the page that shows it."""
