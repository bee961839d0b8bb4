"""What heads on frozen encoders say that learnt other texts' labels, as every comparison of bases needs it."""

from ulmfit_lib.arrays import Features, Floats, Ints
from ulmfit_lib.labels.kind import LabelKind
from ulmfit_lib.models.classifier import heads_proba
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
    taught: int = 0,
) -> Floats:
    """Probabilities for pooled texts, (n_texts, n_classes): a head per direction, their probabilities averaged.

    The first ``taught`` numbers are a taught vector.
    """
    heads = {
        way: fit_head(vectors, targets, recipe, kind=kind, seed=seed, taught=taught) for way, vectors in train.items()
    }
    return heads_proba(heads, test, kind)
