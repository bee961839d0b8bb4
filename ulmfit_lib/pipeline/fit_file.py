"""From a file to a saved classifier in one call, as the server trains."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.label_checks import check_file_labels
from ulmfit_lib.data.reading import read_table
from ulmfit_lib.files import only_process, refuse_existing
from ulmfit_lib.labels.options import KindOptions
from ulmfit_lib.models.precision import save_smallest
from ulmfit_lib.pipeline.fit import fit
from ulmfit_lib.rows.kinds import FileFormat
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.run import Run


def fit_file(
    path: Path,
    out: Path,
    *,
    text: str,
    label: str | Sequence[str],
    kind: KindOptions | None = None,
    base: str | Path = AUTO,
    strategy: str | None = None,
    written: FileFormat | None = None,
) -> str:
    """Train a classifier on a file (``fit``), save it (``save_smallest``), and say in a sentence what it is worth.

    Checkpoints lie beside ``out`` until it is saved, so that the same call after a stop continues from there. The file
    is read as ``written`` says, its labels, in one column or several, as those of a ``kind``; by default what is found.
    """
    checkpoints = out.parent / f".{out.name}.checkpoints"
    with only_process(out):
        refuse_existing(out)
        asked = asdict(written or FileFormat()) | asdict(kind or KindOptions())
        table = read_table(path, text=text, label=label, **asked)
        check_file_labels(table)
        classifier = fit(table, base=base, strategy=strategy, run=Run(checkpoints=Checkpoints(checkpoints)))
        saved = save_smallest(classifier, out, table)
        shutil.rmtree(checkpoints, ignore_errors=True)
    report = classifier.training.report
    return f"{report.sentence}\n{saved}" if report else saved
