"""Is there something wrong with the data? Looked at before any training."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.label_checks import check_labels, suggest_ratings
from ulmfit_lib.data.table import TextTable, check_learnable, check_table
from ulmfit_lib.errors import DataError
from ulmfit_lib.insight.findings import DATA, RARE, WRONG_COLUMN, Diagnosis, Finding
from ulmfit_lib.insight.label_checks import (
    check_amount,
    check_classes,
    check_noise,
    check_rare,
    check_relation,
    check_spelling,
)
from ulmfit_lib.insight.label_errors import out_of_fold
from ulmfit_lib.insight.text_checks import check_column, check_copies, check_encoding, check_language, check_leak
from ulmfit_lib.models.bases import SAMPLE_CHARACTERS, SAMPLE_TEXTS, load_base
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.budget import default_minutes
from ulmfit_lib.pipeline.experiment import Experiment
from ulmfit_lib.pipeline.plan import count_tokens
from ulmfit_lib.progress import counted
from ulmfit_lib.training.recipes import find_recipe
from ulmfit_lib.training.run import Run

MAX_ROWS = 1000  # with a label, that classifiers learn from; of more, a random part
NUMBERS_A_WEIGHT = 5  # in training: the weight, its gradient, two of Adam and the best epoch's
BYTES = 4  # of a number
USUALLY_TAKEN = 700_000_000  # bytes, by PyTorch, spaCy and the rest


@dataclass(frozen=True)
class Forecast:
    """What ``fit`` would take here."""

    seconds: float  # about how long
    megabytes: float  # about how much memory
    plan: str  # a sentence on what would be read

    def __str__(self) -> str:
        return f"{self.plan} It would take about {self.megabytes:,.0f} MB of memory."


def diagnose_data(
    data: TextTable,
    *,
    base: str | Path | LanguageModel = AUTO,
    columns: Mapping[str, Sequence[str]] | None = None,
    seed: int = 42,
    device: str = "auto",
) -> Diagnosis:
    """What is wrong with texts and labels, the gravest first, and what to do about it.

    Classifiers' heads learn on a frozen encoder, for a minute at most; nothing is trained that could be kept.

    Args:
        data: texts, some or all with labels.
        base: the language model that would read them.
        columns: the file's other columns.
        seed: of samples and folds.
        device: ``auto``, ``cpu`` or ``cuda``.

    Examples:
        >>> diagnose_data(reviews.select(range(20)), base=lm).cause
        'few labels'
    """
    check_table(data)
    sample = [data.texts[i] for i in np.random.default_rng(seed).permutation(len(data))[:MAX_ROWS].tolist()]
    lm, _ = load_base(base, data.texts, seed=seed)
    score = lm.to(device).score([text[:SAMPLE_CHARACTERS] for text in sample[:SAMPLE_TEXTS]])
    facts = [
        f"{counted(len(data), 'text')}, {len(data.labelled()):,} of them with a label.",
        f"The language model {lm.name} predicts them with a perplexity of {score.perplexity_per_word:,.0f} per word"
        f"{_own_perplexity(lm)}: the lower, the better it knows such texts. It does not know "
        f"{100 * score.unknown_share:.1f} % of the words.",
    ]
    found = [check_encoding(sample), check_language(score.unknown_share, lm.name), check_column(data, columns)]
    found += [check_copies(data), problem := _wrong_labels(data)]
    if problem:
        return Diagnosis.of(found, facts)
    table = data.labelled()
    found += [check_leak(table), check_amount(table), check_rare(table), check_spelling(table)]
    told = [f"{said[:1].upper()}{said[1:]}." for said in [suggest_ratings(table)] if said]
    if any(one and one.cause != RARE for one in found):
        told.append("Whether the labels can be learnt is not checked until that is corrected.")
    else:
        more, fact = _check_labels(table, lm, seed=seed, device=device)
        found += more
        told.append(fact)
    return Diagnosis.of(found, [*facts, *told])


def forecast(data: TextTable, *, base: str | Path | LanguageModel = AUTO, seed: int = 42) -> Forecast:
    """How long ``fit`` with its defaults takes at most, and how much memory it may need."""
    check_learnable(data)
    experiment = Experiment.of(data, seed=seed)
    train = experiment.train
    lm, _ = load_base(base, train.texts, seed=seed)
    minutes = default_minutes(count_tokens(experiment.texts, lm) + count_tokens(train.texts, lm), len(train))
    weights = sum(tensor.numel() for some in lm.weights.values() for tensor in some.values())
    reads = find_recipe("cpu").fit_lm
    read = reads.batch_size * reads.window * (reads.samples + 8 * sum(lm.architecture.widths))
    megabytes = (_taken() + BYTES * (NUMBERS_A_WEIGHT * weights + read)) / 1e6
    return Forecast(60 * minutes, megabytes, experiment.sentence(minutes))


def _taken() -> int:
    """Bytes that this process has taken at most so far; where the system does not tell, what the imports usually do."""
    try:
        import resource
    except ImportError:  # Windows
        return USUALLY_TAKEN
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _own_perplexity(lm: LanguageModel) -> str:
    """What a base reached on texts of its own kind, if its record says so."""
    known = [stage.validation for stage in lm.training.stages if stage.validation]
    return f" ({known[-1].perplexity_per_word:,.0f} on texts of its own)" if known else ""


def _wrong_labels(data: TextTable) -> Finding | None:
    """Labels that cannot be learnt from at all."""
    try:
        check_labels(data)
    except DataError as error:
        said = str(error).removeprefix(f"{data.source}: ")
        cause = RARE if len(set(data.targets())) < 2 else WRONG_COLUMN
        return Finding(
            cause, DATA, f"{said[:1].upper()}{said[1:]}.", "Check that --text and --label name the right columns."
        )
    return None


def _check_labels(table: TextTable, lm: LanguageModel, *, seed: int, device: str) -> tuple[list[Finding | None], str]:
    """What is wrong with the labels of rows that all have one, and a sentence on how well they can be learnt."""
    if len(table) > MAX_ROWS:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(table))[:MAX_ROWS])
        table = table.select(chosen.tolist())
    answers = out_of_fold(table, base=lm, run=Run(seed=seed, device=device))
    probabilities, decided = answers.probabilities[ENSEMBLE], answers.decided
    quick = "Quick classifiers (on the language model as it is, and TF-IDF)"
    if table.kind.one_class_per_text:
        targets = table.class_numbers()
        accuracy = float((decided == targets).mean())
        majority = float(np.bincount(targets).max() / len(targets))
        fact = (
            f"{quick} reach an accuracy of {100 * accuracy:.0f} % on held-out rows; always giving the commonest label "
            f"reaches {100 * majority:.0f} %."
        )
    else:
        kind = table.kind.learnt_from(table)
        scores = kind.score(probabilities, *kind.truth(table, table.classes), decided=decided)
        fact = f"{quick} on held-out rows: {scores}."
    found = [
        check_relation(probabilities, table, seed=seed),
        check_classes(probabilities, decided, table),
        check_noise(probabilities, table),
    ]
    return found, fact
