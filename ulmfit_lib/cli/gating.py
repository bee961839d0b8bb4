"""The command that decides in continuous integration: gate."""

import json
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from ulmfit_lib.cli.options import AsJson, Classifier, Compute, Data, FileFormat, Known, NoveltyBase, Text
from ulmfit_lib.cli.parsing import Option
from ulmfit_lib.cli.running import command, find_folder, load_classifier, load_text_classifier, read_table
from ulmfit_lib.errors import DataError, OptionError

if TYPE_CHECKING:
    from ulmfit_lib.data.table import TextTable

FAILED = 1  # the exit code; 2 stands for a mistake in the command or in a file


@dataclass(frozen=True)
class TestedFile:
    """Rows that the classifier has not learnt from."""

    data: Data
    text: Text
    file: FileFormat
    label: Annotated[
        list[str], Option("--label", help="Column that holds the labels; needed for accuracy and calibration.")
    ] = field(default_factory=list)


@dataclass(frozen=True)
class LimitOptions:
    """What the classifier must keep."""

    min_accuracy: Annotated[float | None, Option(help="Least accuracy, such as 0.85.")] = None
    max_drift: Annotated[
        float | None,
        Option(
            help="Largest drift of the file's texts from those that the model was made from, such as 0.1: 0 means the "
            "same, 1 nothing in common. A drift that chance explains passes."
        ),
    ] = None
    max_calibration_error: Annotated[float | None, Option(help="Largest calibration error (ECE), such as 0.05.")] = None


@command("gate", example="gate models/reviews test.csv --text review --label sentiment --min-accuracy 0.85")
def gate(
    model: Classifier,
    tested: TestedFile,
    limits: LimitOptions,
    compute: Compute,
    known: Known = None,
    base: NoveltyBase = "auto",
    as_json: AsJson = False,
) -> None:
    """Exit with 1 if a classifier misses a limit on a file of test rows, and show which: for continuous integration."""
    from ulmfit_lib.insight.gate import Limits, check_limits, gate_table

    asked = Limits(**asdict(limits))
    if asked.need_labels and not tested.label:
        raise OptionError("--min-accuracy and --max-calibration-error need labels: name their column with --label")
    table = read_table(tested.data, text=tested.text, label=tested.label, file=tested.file)
    folder = find_folder(model)
    scores = _scores(load_classifier(folder, compute.device), table) if asked.need_labels else None
    drift = None
    if asked.max_drift is not None:
        from ulmfit_lib.insight.drift import find_drift
        from ulmfit_lib.insight.readers import find_known

        reader = load_text_classifier(folder, device=compute.device)
        before = read_table(known, text=tested.text, file=tested.file).texts if known else None
        compared, lm = find_known(reader.training, before, base=base)
        drift = find_drift(compared, table.texts, lm=lm, reader=reader, device=reader.device)
    checks = check_limits(asked, scores, drift)
    passed = all(check.passed for check in checks)
    if as_json:
        print(json.dumps({"passed": passed, "rows": len(table), "checks": [asdict(check) for check in checks]}))
    else:
        print("\n".join(gate_table(checks)))
    if not passed:
        sys.exit(FAILED)


def _scores(classifier: Any, table: "TextTable") -> Any:
    """Of the whole classifier, on the labelled rows."""
    if not classifier.kind.one_class_per_text:
        raise OptionError(
            "--min-accuracy and --max-calibration-error need one class a text; for ratings and several labels, use "
            "`evaluate`"
        )
    labelled = table.labelled()
    if not len(labelled):
        raise DataError(f"{table.source}: no row has a label, so there is nothing to score against")
    truth, classes = classifier.kind.truth(labelled, classifier.classes)
    probabilities = classifier.predict_proba(labelled.texts)
    return classifier.kind.score(probabilities, truth, classes, decided=classifier.decide(probabilities))
