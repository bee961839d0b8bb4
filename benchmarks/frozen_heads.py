"""What heads on frozen encoders say that learnt other texts' labels, as every comparison of bases needs it."""

import numpy as np

from ulmfit_lib.arrays import Features, Floats, Ints
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.models.head import head_arrays
from ulmfit_lib.serving.classifier import head_scores
from ulmfit_lib.training.classifying import ClassifierRecipe
from ulmfit_lib.training.heads import fit_head


def predict_by_heads(
    train: Features,
    targets: Ints,
    test: Features,
    recipe: ClassifierRecipe,
    *,
    kind: LabelKind,
    seed: int,
    distilled: int = 0,
) -> Floats:
    """Probabilities for pooled texts, (n_texts, n_classes): a head per direction, their probabilities averaged.

    The first ``distilled`` numbers are a distilled vector.
    """
    heads = {
        way: fit_head(vectors, targets, recipe, kind=kind, seed=seed, distilled=distilled)
        for way, vectors in train.items()
    }
    scores = [head_scores(head_arrays(heads[way]), vectors) for way, vectors in test.items()]
    return np.asarray(np.mean([kind.link(one) for one in scores], axis=0), np.float64)
