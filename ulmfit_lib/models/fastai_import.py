"""fastai's saved language models -> ours."""

from pathlib import Path

from ulmfit_lib.artifact.format import DIRECTIONS
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.errors import OptionError
from ulmfit_lib.models.fastai_files import imported_stage, read_fastai
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.tokens.words import WordTokenizer


def import_fastai(
    weights: Path, vocabulary: Path, *, direction: str = "forward", language: str = "en", name: str = "fastai"
) -> LanguageModel:
    """A language model that fastai saved (``learn.save``, or its pretrained ones) -> ours, with the same logits.

    Args:
        weights: the ``.pth`` file.
        vocabulary: the pickled list of tokens.
        direction: which way it reads: ``forward`` or ``backward``.
        language: spaCy code of its tokens.
        name: what its card calls it.

    Raises:
        ArtifactError: a file is missing, damaged, hostile, or no AWD-LSTM language model of fastai's.
        OptionError: an unknown direction or language.
    """
    if direction not in DIRECTIONS:
        raise OptionError(f"direction {direction!r}; a model of fastai's reads forward or backward")
    architecture, tokens, found = read_fastai(weights, vocabulary)
    training = TrainingRecord(name, (imported_stage(weights.name),))
    return LanguageModel(architecture, tokens, WordTokenizer(language), {direction: found}, training)
