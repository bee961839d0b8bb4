"""Text classification from few labels with ULMFiT: offline, on a CPU, with an honest baseline.

    >>> from ulmfit_lib import LanguageModel, fit_lm, fit_classifier, read_csv    # doctest: +SKIP
    >>> reviews = read_csv("reviews.csv", text="review", label="sentiment")       # doctest: +SKIP
    >>> train, test = reviews.split(test_fraction=0.2, seed=42)                   # doctest: +SKIP
    >>> base = LanguageModel.from_pretrained("wiki-en-small")                     # doctest: +SKIP
    >>> lm = fit_lm(train.texts, base=base)                                       # doctest: +SKIP
    >>> classifier = fit_classifier(train, lm=lm)                                 # doctest: +SKIP

Names load on first use, so that importing the package is instant.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ulmfit_lib.version import __version__ as __version__

if TYPE_CHECKING:
    from ulmfit_lib.artifact.architecture import Architecture
    from ulmfit_lib.data.ray import predict_on_ray
    from ulmfit_lib.data.ray_files import predict_files_on_ray
    from ulmfit_lib.data.reading import read_csv, read_table
    from ulmfit_lib.data.spark import predict_on_spark
    from ulmfit_lib.data.table import TextTable
    from ulmfit_lib.errors import ArtifactError, DataError, OptionError, TrainingError, UlmfitError
    from ulmfit_lib.estimators.classifier import UlmfitClassifier
    from ulmfit_lib.estimators.vectorizer import UlmfitVectorizer
    from ulmfit_lib.hub.pushing import push_to_hub
    from ulmfit_lib.insight.diagnosis import diagnose_model
    from ulmfit_lib.insight.doctor import diagnose_data
    from ulmfit_lib.insight.drift import find_drift
    from ulmfit_lib.insight.label_errors import check_label_errors
    from ulmfit_lib.insight.suggestions import suggest_labels
    from ulmfit_lib.labels.classes import Classes
    from ulmfit_lib.labels.ratings import Ratings
    from ulmfit_lib.labels.tags import Tags
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.dropouts import Dropouts
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.models.loading import from_pretrained
    from ulmfit_lib.pipeline.fit import fit, fit_csv
    from ulmfit_lib.pipeline.label_budget import LabelBudget, label_budget
    from ulmfit_lib.pipeline.tuning import Tuned, tune
    from ulmfit_lib.pipeline.zero_labels import fit_by_names
    from ulmfit_lib.reporting.page import write_report
    from ulmfit_lib.serving.explanations import Explanation, explain
    from ulmfit_lib.stages.find_rates import find_classifier_rates, find_language_model_rates
    from ulmfit_lib.stages.fit_classifier import fit_classifier
    from ulmfit_lib.stages.fit_lm import fit_lm
    from ulmfit_lib.stages.pretrain import pretrain
    from ulmfit_lib.stages.teach import teach
    from ulmfit_lib.training.checkpoints import Checkpoints
    from ulmfit_lib.training.classifying import ClassifierRecipe
    from ulmfit_lib.training.language_modelling import LanguageModelRecipe
    from ulmfit_lib.training.schedules import discriminative_lrs, gradual_unfreezing, one_cycle, slanted_triangular
    from ulmfit_lib.training.teachers import find_teacher
    from ulmfit_lib.training.teaching import TeachingRecipe
    from ulmfit_lib.training.tracking import track, track_model

_HOMES = {
    "artifact.architecture": ["Architecture"],
    "data.ray": ["predict_on_ray"],
    "data.ray_files": ["predict_files_on_ray"],
    "data.reading": ["read_csv", "read_table"],
    "data.spark": ["predict_on_spark"],
    "data.table": ["TextTable"],
    "errors": ["ArtifactError", "DataError", "OptionError", "TrainingError", "UlmfitError"],
    "estimators.classifier": ["UlmfitClassifier"],
    "estimators.vectorizer": ["UlmfitVectorizer"],
    "hub.pushing": ["push_to_hub"],
    "insight.diagnosis": ["diagnose_model"],
    "insight.doctor": ["diagnose_data"],
    "insight.drift": ["find_drift"],
    "insight.label_errors": ["check_label_errors"],
    "insight.suggestions": ["suggest_labels"],
    "labels.classes": ["Classes"],
    "labels.ratings": ["Ratings"],
    "labels.tags": ["Tags"],
    "models.classifier": ["TextClassifier"],
    "models.dropouts": ["Dropouts"],
    "models.language_model": ["LanguageModel"],
    "models.loading": ["from_pretrained"],
    "pipeline.fit": ["fit", "fit_csv"],
    "pipeline.label_budget": ["LabelBudget", "label_budget"],
    "pipeline.tuning": ["Tuned", "tune"],
    "pipeline.zero_labels": ["fit_by_names"],
    "serving.explanations": ["Explanation", "explain"],
    "reporting.page": ["write_report"],
    "stages.find_rates": ["find_classifier_rates", "find_language_model_rates"],
    "stages.fit_classifier": ["fit_classifier"],
    "stages.fit_lm": ["fit_lm"],
    "stages.pretrain": ["pretrain"],
    "stages.teach": ["teach"],
    "training.checkpoints": ["Checkpoints"],
    "training.classifying": ["ClassifierRecipe"],
    "training.language_modelling": ["LanguageModelRecipe"],
    "training.schedules": ["discriminative_lrs", "gradual_unfreezing", "one_cycle", "slanted_triangular"],
    "training.teachers": ["find_teacher"],
    "training.teaching": ["TeachingRecipe"],
    "training.tracking": ["track", "track_model"],
}
warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")  # fastai's affair, not the user's
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Architecture",
    "ArtifactError",
    "Checkpoints",
    "Classes",
    "ClassifierRecipe",
    "DataError",
    "Dropouts",
    "Explanation",
    "LabelBudget",
    "LanguageModel",
    "LanguageModelRecipe",
    "OptionError",
    "Ratings",
    "Tags",
    "TeachingRecipe",
    "TextClassifier",
    "TextTable",
    "TrainingError",
    "Tuned",
    "UlmfitClassifier",
    "UlmfitError",
    "UlmfitVectorizer",
    "check_label_errors",
    "diagnose_data",
    "diagnose_model",
    "discriminative_lrs",
    "explain",
    "find_classifier_rates",
    "find_drift",
    "find_language_model_rates",
    "find_teacher",
    "fit",
    "fit_by_names",
    "fit_classifier",
    "fit_csv",
    "fit_lm",
    "from_pretrained",
    "gradual_unfreezing",
    "label_budget",
    "one_cycle",
    "predict_files_on_ray",
    "predict_on_ray",
    "predict_on_spark",
    "pretrain",
    "push_to_hub",
    "read_csv",
    "read_table",
    "slanted_triangular",
    "suggest_labels",
    "teach",
    "track",
    "track_model",
    "tune",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
