"""A model on the hub, whatever it is, as the value that a user holds."""

from ulmfit_lib.artifact.format import CLASSIFIER, PREDICTOR, read_config
from ulmfit_lib.errors import OptionError
from ulmfit_lib.hub.fetching import fetch
from ulmfit_lib.hub.repository import Repository
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.serving.predictor import Predictor


def from_pretrained(name: str, *, revision: str | None = None) -> TextClassifier | LanguageModel | Predictor:
    """A model from a repository of the Hugging Face hub; safe with repositories of strangers.

    The repository says what it holds: a classifier, a language model or an exported classifier. Models in folders of
    yours are read by ``TextClassifier.load`` and ``LanguageModel.from_pretrained``.

    Args:
        name: ``user/name``, or ``user/name@revision``.
        revision: a branch, a tag or a commit's hash; default the newest commit of the branch ``main``.

    Raises:
        OptionError: no such name can be, two revisions, or huggingface_hub is missing.
        ArtifactError: no such repository or revision, a file that is no part of a saved model (then nothing is
            downloaded), a damaged one, or neither a connection nor a copy in the cache.

    Examples:
        >>> from_pretrained("ada/reviews", revision="v1").predict(["A fine film."])    # doctest: +SKIP
        ['positive']
    """
    repository = Repository.parse(name)
    if revision:
        if repository.revision:
            raise OptionError(f"{name!r}: it names a revision already; leave out revision={revision!r}")
        repository = Repository.parse(f"{name}@{revision}")
    folder = fetch(repository)
    kind = read_config(folder)["kind"]
    if kind == CLASSIFIER:
        return TextClassifier.load(folder)
    return Predictor.load(folder) if kind == PREDICTOR else LanguageModel.from_pretrained(folder)
