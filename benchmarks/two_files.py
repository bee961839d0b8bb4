"""The arguments of benchmarks that learn from one file of labelled texts and measure on another."""

import argparse
from pathlib import Path


def parser(description: str | None) -> argparse.ArgumentParser:
    """With train.csv, test.csv, their columns, and --json."""
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("train", type=Path)
    found.add_argument("test", type=Path)
    found.add_argument("--text", default="review")
    found.add_argument("--label", default="sentiment")
    found.add_argument("--json", action="store_true")
    return found
