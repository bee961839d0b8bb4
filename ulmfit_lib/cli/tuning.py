"""The command that searches for better settings: tune."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ulmfit_lib.cli.options import AsJson, Directions, LabelKind, LabelledFile, TrainingRun
from ulmfit_lib.cli.parsing import Option
from ulmfit_lib.cli.running import command, read, training

if TYPE_CHECKING:
    from ulmfit_lib.pipeline.tuning import Tuned


@dataclass(frozen=True)
class Search:
    """How long and on which rows settings are searched for."""

    minutes: Annotated[float, Option(help="Minutes to spend on the search, in all runs together.")] = 30
    trials: Annotated[int | None, Option(min=1, help="Trials to stop after, even if there is time left.")] = None
    test_fraction: Annotated[
        float, Option(help="Share of the labelled rows to hold out from the search, to see what it gained.")
    ] = 0.2


@command("tune", example="tune examples/reviews.csv --text review --label sentiment --out models/tuned --minutes 30")
def tune_command(
    source: LabelledFile,
    search: Search,
    kind: LabelKind,
    asked: TrainingRun,
    out: Annotated[Path, Option(help="Folder for the trials, and in it, in `model`, for the classifier.")],
    base: Annotated[
        Sequence[str],
        Option(
            help="Language model to try: a name (see `models`), a folder, or `auto` for all embedded ones; may be "
            "repeated."
        ),
    ] = ("auto",),
    direction: Directions = None,
    as_json: AsJson = False,
) -> None:
    """Search for settings that suit your labels better than the defaults, and say honestly what that gained."""
    from ulmfit_lib.models.precision import save_smallest
    from ulmfit_lib.pipeline.tuning import tune

    study = out / "study"
    with training(asked, out / "model") as run:
        if asked.restart:
            shutil.rmtree(study, ignore_errors=True)
        table = read(source, kind)
        tuned = tune(
            table,
            folder=study,
            bases=base,
            direction=direction,
            minutes=search.minutes,
            max_trials=search.trials,
            test_fraction=search.test_fraction,
            run=run,
        )
        _write(out, tuned)
        # Last: then it is done.
        saved = save_smallest(tuned.classifier, out / "model", table, overwrite=asked.overwrite)
    if as_json:
        print(json.dumps({**tuned.as_dict(), "saved": str(out / "model")}))
        return
    print(tuned.sentence)
    print(f"{saved}; all trials are in {out / 'trials.csv'}")


def _write(out: Path, tuned: "Tuned") -> None:
    """The trials as a table and as a plot, and all that the search came to as JSON."""
    import pandas as pd

    from ulmfit_lib.evaluation.plots import plot_trials, save_plot
    from ulmfit_lib.files import write_file

    trials = pd.DataFrame(tuned.trials).convert_dtypes()  # epochs stay whole where heads have none
    write_file(out / "trials.csv", trials.to_csv(index=False).encode())
    write_file(out / "tuning.json", json.dumps(tuned.as_dict(), indent=2).encode())
    save_plot(plot_trials(tuned.trials), out / "trials.png")
