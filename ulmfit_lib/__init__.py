"""Text classification from few labels with ULMFiT: offline, on a CPU, with an honest baseline.

    >>> from ulmfit_lib import LanguageModel, fit_classifier, fit_lm, read_table  # doctest: +SKIP
    >>> reviews = read_table("reviews.csv", text="review", label="sentiment")     # doctest: +SKIP
    >>> train, test = reviews.split(test_fraction=0.2, seed=42)                   # doctest: +SKIP
    >>> base = LanguageModel.from_pretrained("wiki-en-small")                     # doctest: +SKIP
    >>> lm = fit_lm(train.texts, base=base)                                       # doctest: +SKIP
    >>> classifier = fit_classifier(train, lm=lm)                                 # doctest: +SKIP

What is used every day is imported from here, everything else from its module. Names load on first use, so that
importing the package is instant.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ulmfit_lib.version import __version__ as __version__

if TYPE_CHECKING:
    from ulmfit_lib.data.reading import read_table
    from ulmfit_lib.data.table import TextTable
    from ulmfit_lib.errors import UlmfitError
    from ulmfit_lib.estimators.classifier import UlmfitClassifier
    from ulmfit_lib.estimators.vectorizer import UlmfitVectorizer
    from ulmfit_lib.models.classifier import TextClassifier
    from ulmfit_lib.models.language_model import LanguageModel
    from ulmfit_lib.models.loading import from_pretrained
    from ulmfit_lib.pipeline.fit import fit
    from ulmfit_lib.pipeline.tuning import tune
    from ulmfit_lib.reporting.page import write_report
    from ulmfit_lib.stages.fit_classifier import fit_classifier
    from ulmfit_lib.stages.fit_lm import fit_lm
    from ulmfit_lib.stages.pretrain import pretrain
    from ulmfit_lib.training.run import Run

_HOMES = {
    "LanguageModel": "models.language_model",
    "Run": "training.run",
    "TextClassifier": "models.classifier",
    "TextTable": "data.table",
    "UlmfitClassifier": "estimators.classifier",
    "UlmfitError": "errors",
    "UlmfitVectorizer": "estimators.vectorizer",
    "fit": "pipeline.fit",
    "fit_classifier": "stages.fit_classifier",
    "fit_lm": "stages.fit_lm",
    "from_pretrained": "models.loading",
    "pretrain": "stages.pretrain",
    "read_table": "data.reading",
    "tune": "pipeline.tuning",
    "write_report": "reporting.page",
}
warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")  # fastai's affair, not the user's

__all__ = [
    "LanguageModel",
    "Run",
    "TextClassifier",
    "TextTable",
    "UlmfitClassifier",
    "UlmfitError",
    "UlmfitVectorizer",
    "fit",
    "fit_classifier",
    "fit_lm",
    "from_pretrained",
    "pretrain",
    "read_table",
    "tune",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
