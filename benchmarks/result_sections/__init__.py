"""The sections of RESULTS.md: each is one function that takes all results and returns Markdown."""
