"""For the site: its pages keep their places in the repository, so that a link between two of them holds in both."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
RESULTS = ("benchmarks/results/*", "benchmarks/archive/*")
PAGES = ("*.md", "docs/**/*.md", "notebooks/*.ipynb", "benchmarks/*.md", "examples/*", *RESULTS)


@event_priority(100)  # before notebooks become pages
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The theme's files, and the pages that are ours; ``docs_dir`` alone would leave out all but the guides."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    pages = sorted(page for pattern in PAGES for page in ROOT.glob(pattern))
    places = [page.relative_to(ROOT).as_posix() for page in pages]
    return Files(theme + [File(place, str(ROOT), config.site_dir, config.use_directory_urls) for place in places])
