"""Text classification from few labels with ULMFiT: offline, on a CPU, with an honest baseline.

    >>> from ulmfit_lib import LanguageModel, fit_lm, fit_classifier, read_csv    # doctest: +SKIP
    >>> reviews = read_csv("reviews.csv", text="review", label="sentiment")       # doctest: +SKIP
    >>> train, test = reviews.split(test_fraction=0.2, seed=42)                   # doctest: +SKIP
    >>> base = LanguageModel.from_pretrained("wiki-en-small")                     # doctest: +SKIP
    >>> lm = fit_lm(train.texts, base=base)                                       # doctest: +SKIP
    >>> classifier = fit_classifier(train, lm=lm)                                 # doctest: +SKIP

Names load on first use, so that importing the package is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ulmfit_lib.budget import LabelBudget, label_budget
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.data.table import TextTable
    from ulmfit_lib.errors import ArtifactError, DataError, OptionError, TrainingError, UlmfitError
    from ulmfit_lib.models.architecture import Architecture, Dropouts
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.pipeline import fit, fit_csv
    from ulmfit_lib.stages import fit_classifier, fit_lm, pretrain
    from ulmfit_lib.training.checkpoints import Checkpoints
    from ulmfit_lib.training.classifying import ClassifierRecipe
    from ulmfit_lib.training.language_modelling import LanguageModelRecipe
    from ulmfit_lib.training.schedules import discriminative_lrs, gradual_unfreezing, one_cycle, slanted_triangular

__version__ = "0.1.0"

_HOMES = {
    "budget": ["LabelBudget", "label_budget"],
    "data.reading": ["read_csv"],
    "data.table": ["TextTable"],
    "errors": ["ArtifactError", "DataError", "OptionError", "TrainingError", "UlmfitError"],
    "models.awd_lstm": ["Architecture", "Dropouts"],
    "models.classifier": ["TextClassifier"],
    "models.language_model": ["LanguageModel"],
    "pipeline": ["fit", "fit_csv"],
    "stages": ["fit_classifier", "fit_lm", "pretrain"],
    "training.checkpoints": ["Checkpoints"],
    "training.classifying": ["ClassifierRecipe"],
    "training.language_modelling": ["LanguageModelRecipe"],
    "training.schedules": ["discriminative_lrs", "gradual_unfreezing", "one_cycle", "slanted_triangular"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Architecture", "ArtifactError", "Checkpoints", "ClassifierRecipe", "DataError", "Dropouts", "LabelBudget",
    "LanguageModel", "LanguageModelRecipe", "OptionError", "TextClassifier", "TextTable", "TrainingError",
    "UlmfitError", "discriminative_lrs", "fit", "fit_classifier", "fit_csv", "fit_lm", "gradual_unfreezing",
    "label_budget", "one_cycle", "pretrain", "read_csv", "slanted_triangular",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
