"""Which learning rates stages 2 and 3 bear on your texts, beside what the recipes take."""

from collections.abc import Sequence

from ulmfit_lib.data.label_checks import check_labels
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.stages.fit_classifier import CLASSIFY, classifier_net
from ulmfit_lib.stages.fit_lm import FINE_TUNE, for_corpus
from ulmfit_lib.stages.language_models import extend
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import renumber
from ulmfit_lib.training.classifying import ClassifierRecipe, LabelledDocuments, classifier_phases, cross_entropy
from ulmfit_lib.training.heads import fit_hidden_head
from ulmfit_lib.training.language_modelling import LanguageModelRecipe, language_model_phases
from ulmfit_lib.training.learner import Objective
from ulmfit_lib.training.losses import SampledSoftmax
from ulmfit_lib.training.range_test import LearningRates, range_test
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.seeding import seeded
from ulmfit_lib.training.streams import LanguageModelStream


def lr_find_lm(
    texts: Sequence[str], *, base: LanguageModel, recipe: LanguageModelRecipe = FINE_TUNE, run: Run | None = None
) -> LearningRates:
    """Try learning rates for ``fit_lm`` on these texts, in the first direction that the base has, which stays as it is.

    It takes a hundred steps, and keeps no model. The ``run`` gives seed and device.

    Raises:
        DataError: too few texts.
    """
    run = run or Run()
    with seeded(run.seed):
        way = base.directions()[0]
        size = 2 * len(base.vocabulary)
        grown, corpus = extend(base.only(way), texts, name="", size=size, min_count=recipe.min_count)
        recipe = for_corpus(recipe, corpus)
        train = corpus.numericalize(grown.vocabulary).in_direction(way)
        net = grown.net(way, recipe.dropouts)
        batches, nothing = (
            LanguageModelStream(some, batch_size=recipe.batch_size, window=recipe.window, seed=run.seed)
            for some in (train, train.select([]))
        )
        return range_test(
            net,
            (batches, nothing),
            language_model_phases(recipe, grown.architecture.layers)[-1].lrs,
            objective=Objective(SampledSoftmax(net, train.counts(len(net.bias)), samples=recipe.samples)),
            settings=recipe,
            device=run.device,
            description=f"trying rates, language model {way}",
        )


def lr_find_classifier(
    data: TextTable, *, lm: LanguageModel, recipe: ClassifierRecipe = CLASSIFY, run: Run | None = None
) -> LearningRates:
    """Try learning rates for ``fit_classifier`` on these labels, in one direction, with all groups training.

    The head learns first on the frozen encoder of the first direction that the language model has, which stays as it
    is, as in ``fit_classifier``. The ``run`` gives seed and device.

    Raises:
        DataError: labels that cannot be learnt from.
    """
    run = run or Run()
    with seeded(run.seed):
        table = data.labelled()
        check_labels(table)
        way, kind, targets = lm.directions()[0], table.kind, table.class_numbers()
        recipe, pooling = (
            recipe.for_texts(len(table)),
            recipe.pooling_for("fine-tune", lm),
        )
        features = lm.only(way).to(run.device).features(table.texts, pooling=pooling)[way]
        head = fit_hidden_head(features, targets, recipe, kind=kind, seed=run.seed)
        documents = tokenize_corpus(table.texts, lm.tokenizer).numericalize(lm.vocabulary)
        used, (documents,) = renumber([documents], len(lm.vocabulary), keep=lm.vocabulary.pad_id + 1)
        net = classifier_net(lm, way, head, recipe, pooling, used)
        train = LabelledDocuments(documents.in_direction(way), targets, kind, lm.vocabulary.pad_id)
        batches, nothing = (
            some.batches(recipe, batch_tokens=recipe.batch_tokens, seed=run.seed) for some in (train, train.nothing())
        )
        return range_test(
            net,
            (batches, nothing),
            classifier_phases(recipe, len(net.layer_groups()))[-1].lrs,
            objective=Objective(lambda logits, truth: cross_entropy(logits, truth, kind, None, recipe.label_smoothing)),
            settings=recipe,
            device=run.device,
            description=f"trying rates, classifier {way}",
        )
