"""One way to make a classifier, and what cross-validation says of it: the experiment that everything here repeats."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ulmfit_lib.arrays import Features, Floats, side_by_side
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.data.table import TextTable
from ulmfit_lib.labels.decision import DecisionRule
from ulmfit_lib.linear.blend import Blend
from ulmfit_lib.linear.scope import nearness
from ulmfit_lib.linear.tfidf import TfidfClassifier
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.known_texts import Reader
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.deciding import Goal
from ulmfit_lib.pipeline.frozen_vectors import FrozenReader, FrozenVectors
from ulmfit_lib.pipeline.out_of_fold import (
    HeldOutAnswers,
    OutOfFoldPredictions,
    Split,
    UlmfitPredictions,
    concatenate,
)
from ulmfit_lib.pipeline.zero_labels import name_vectors
from ulmfit_lib.progress import bar
from ulmfit_lib.stages.fit_classifier import CLASSIFY, fit_classifier, made_by_contrast
from ulmfit_lib.training.classifying import CONTRAST, FINE_TUNE, LINEAR_PROBE, ClassifierRecipe
from ulmfit_lib.training.contrast import TokenizedTexts, contrast, learn_contrast, words_of
from ulmfit_lib.training.heads import HeadConfig, HeadMix, predict_by_config
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.tfidf import Topics, fit_tfidf

MOST_IN_FOLDS = 200  # texts beside which labelled ones are looked at


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to make a classifier: an ensemble of ULMFiT and linear members that are fitted to the same rows."""

    lm: LanguageModel  # the language model under ULMFiT: a base, or one that has been fine-tuned on the user's texts
    strategy: str = LINEAR_PROBE  # `linear-probe`, `contrast` or `fine-tune`
    recipe: ClassifierRecipe = CLASSIFY  # the classifier's hyperparameters
    passes: int = 0  # over the user's texts that `lm` was fine-tuned for; 0 for a base as it is
    with_baseline: bool = True  # TF-IDF + logistic regression is a member, too
    # Of texts without a label; if there are any, logistic regression on them is a member, too.
    topics: Topics | None = None
    # What its decisions should be good at.
    goal: Goal = Goal()  # noqa: RUF009
    descriptions: Mapping[str, str] = field(default_factory=dict)  # by class, what it is called beside its name
    others: Sequence[str] = ()  # texts beside which it looks at the labelled ones, to tell what is out of scope

    @property
    def pooling(self) -> str:
        """How the outputs of the encoders become one vector."""
        return self.recipe.pooling_for(self.strategy, self.lm)

    @property
    def other_texts(self) -> Sequence[str]:
        """Those of the ``others`` that it reads, which are few where it reads them in each fold."""
        return self.others[:MOST_IN_FOLDS] if self.strategy == CONTRAST else self.others

    def changed(self, **changes: Any) -> "Candidate":
        """The same with other attributes; what the frozen encoders have read stays read."""
        other = replace(self, **changes)
        if other.lm is self.lm and other.pooling == self.pooling and "_frozen" in self.__dict__:
            other.__dict__["_frozen"] = self._frozen
        return other

    def features(self, texts: Sequence[str], run: Run) -> Features:
        """By direction, (n_texts, width) vectors from the frozen encoders, which read each text once."""
        return self._frozen.features(texts, run.device)

    def read(self, texts: Sequence[str], run: Run) -> None:
        """Read texts once by the frozen encoders, ahead of what needs it."""
        if self.strategy != CONTRAST:
            self.features(texts, run)

    def remember(self, texts: Sequence[str], features: Features) -> None:
        """Take the ``features`` of texts that were read elsewhere."""
        self._frozen.remember(texts, features)

    def reader(self, classifier: TextClassifier, run: Run) -> Reader:
        """What makes the vectors of texts that ``classifier``, which this candidate made, gives: each is read once."""
        return classifier if self.strategy != LINEAR_PROBE else FrozenReader(self._frozen, run.device)

    def fit(
        self,
        table: TextTable,
        run: Run,
        *,
        blend: Blend | None = None,
        heads: Mapping[HeadConfig, float] | None = None,
        rule: DecisionRule = DecisionRule(),  # noqa: B008
    ) -> TextClassifier:
        """The ensemble, fitted to a table of labelled rows.

        The ``blend`` are the members' weights, by default ULMFiT's alone; ``heads`` those of the heads of a linear
        probe, of which by default its own cross-validation chooses one; the ``rule`` says the likeliest label by
        default.
        """
        blend = blend or Blend()
        linear = {
            name: member
            for name, member in self._fit_linear(table, run).items()
            if blend.weights[name] or name == "baseline"
        }
        return replace(self._fit_ulmfit(table, run, heads), tfidf=linear, blend=blend, rule=rule)

    def predict(self, classifier: TextClassifier, texts: Sequence[str], run: Run) -> dict[str, Floats]:
        """``TextClassifier.probabilities`` of a classifier that this candidate made."""
        classifier = classifier.to(run.device)
        if self.strategy != LINEAR_PROBE:
            return classifier.probabilities(texts)
        if not self._frozen.knows(texts):  # the classifier has the same encoders, and keeps no tokens of held-out texts
            self.remember(texts, classifier.features(texts))
        return classifier.probabilities(texts, features=self.features(texts, run))

    def predict_ulmfit(self, train: TextTable, test: TextTable, run: Run) -> UlmfitPredictions:
        """What ULMFiT alone, fitted to ``train``, says of ``test``."""
        if self.strategy == FINE_TUNE:
            classifier = self._fit_ulmfit(train, run, None).to(run.device)
            return UlmfitPredictions({None: classifier.ulmfit_proba(classifier.features(test.texts))})
        read, targets = self._reader(train, run), train.class_numbers()
        learnt, held_out = read(train.texts), read(test.texts)
        by_config = predict_by_config(
            learnt,
            targets,
            held_out,
            self.recipe,
            kind=train.kind,
            distilled=self.lm.architecture.distilled_width(self.pooling),
            names=self._names(train, read),
        )
        near = None
        if self.strategy == CONTRAST and train.kind.one_class_per_text:
            others = side_by_side(read(self.other_texts))
            near = nearness(side_by_side(held_out), side_by_side(learnt), targets, others)
        return UlmfitPredictions({config: p for config, p in by_config.items()}, near)

    def predict_linear(self, train: TextTable, test: TextTable, run: Run) -> dict[str, Floats]:
        """The same by each linear member."""
        return {name: member.predict_proba(test.texts) for name, member in self._fit_linear(train, run).items()}

    def _fit_ulmfit(self, table: TextTable, run: Run, heads: Mapping[HeadConfig, float] | None) -> TextClassifier:
        if self.strategy == CONTRAST:
            lm = contrast(self.lm, table, self.recipe.contrast, run)
            probe = replace(self, lm=lm, strategy=LINEAR_PROBE, recipe=self.recipe.after_contrast())
            probe.remember(table.texts, TokenizedTexts.of(lm, table.texts).features(words_of(lm)))
            return made_by_contrast(probe._fit_ulmfit(table, run, heads), self.lm)
        features = self.features(table.texts, run)
        mix = HeadMix(heads, self._names(table, self._reader(table, run))) if heads else None
        return fit_classifier(
            table, lm=self.lm, strategy=self.strategy, recipe=self.recipe, features=features, head=mix, run=run
        )

    def _reader(self, train: TextTable, run: Run) -> Callable[[Sequence[str]], Features]:
        """What makes vectors of texts; with ``contrast``, words in context have learnt from the labels of ``train``."""
        if self.strategy != CONTRAST:
            return lambda texts: self.features(texts, run)
        read, recipe = TokenizedTexts.of(self.lm, train.texts), self.recipe.contrast
        kind = train.kind.learnt_from(train)
        words = learn_contrast(read, train.class_numbers(), kind, self.lm, recipe, seed=run.seed)
        return lambda texts: TokenizedTexts.of(self.lm, texts).features(words)

    def _names(self, table: TextTable, read: Callable[[Sequence[str]], Features]) -> Features:
        """By direction, (n_classes, distilled) vectors of what the classes are called; {} where that tells nothing."""
        width = self.lm.architecture.distilled_width(self.pooling)
        return name_vectors(table, self.descriptions, read, width=width) if width else {}

    def _fit_linear(self, table: TextTable, run: Run) -> dict[str, TfidfClassifier]:
        kind, class_weights = table.kind, self.recipe.class_weights
        texts, targets = table.texts, table.class_numbers()
        members = {}
        if self.with_baseline:
            members["baseline"] = fit_tfidf(texts, targets, kind=kind, class_weights=class_weights)
        if self.topics:
            members["topics"] = self.topics.classifier(
                texts, targets, kind=kind, class_weights=class_weights, seed=run.seed
            )
        return members

    @cached_property
    def _frozen(self) -> FrozenVectors:
        return FrozenVectors(self.lm, self.pooling)


def cross_validate(
    candidate: Candidate,
    table: TextTable,
    splits: Sequence[Split],
    run: Run,
    *,
    same_splits: OutOfFoldPredictions | None = None,
    ulmfit: OutOfFoldPredictions | None = None,
) -> OutOfFoldPredictions:
    """What a candidate's members say of the rows that each split holds out, fitted to the split's other rows.

    Its linear members are not fitted again where predictions for the ``same_splits`` by a candidate with the same ones
    are known; nor is its ULMFiT where those of the same ``ulmfit`` are.
    """
    folds = []
    with bar(total=len(splits), description="cross-validation", unit="fold") as progress:
        for fold in predict_folds(candidate, table, splits, run, same_splits=same_splits, ulmfit=ulmfit):
            folds.append(fold)
            progress.update(1)
    return concatenate(folds)


def predict_folds(
    candidate: Candidate,
    table: TextTable,
    splits: Sequence[Split],
    run: Run,
    *,
    same_splits: OutOfFoldPredictions | None = None,
    ulmfit: OutOfFoldPredictions | None = None,
) -> Iterator[OutOfFoldPredictions]:
    """``cross_validate`` fold by fold, for those who may stop early."""
    targets, kind = table.class_numbers(), table.kind.learnt_from(table)
    candidate.read(table.texts, run)  # all together, which is faster than fold by fold
    for number, (train, test) in enumerate(splits):
        learnt, held_out = table.select(train.tolist()), table.select(test.tolist())
        if same_splits:
            linear = same_splits.of_folds([number]).linear
        else:
            linear = candidate.predict_linear(learnt, held_out, run)
        if ulmfit:
            same = ulmfit.of_folds([number])
            found = UlmfitPredictions(same.ulmfit, same.nearness)
        else:
            found = candidate.predict_ulmfit(learnt, held_out, run)
        fold = np.full(len(test), number)
        yield OutOfFoldPredictions(kind, test, targets[test], fold, found.by_head, linear, found.nearness)


@dataclass(frozen=True, eq=False)
class EvaluatedCandidate:
    """A candidate, and how good it is on rows that it was not fitted to."""

    candidate: Candidate  # what was evaluated
    predictions: OutOfFoldPredictions  # of its members, out of fold

    @cached_property
    def answers(self) -> HeldOutAnswers:
        """What it says of each row, chosen by the others."""
        return self.predictions.held_out(self.candidate.goal)

    @property
    def ensemble(self) -> dict[str, Floats]:
        """Out-of-fold probabilities of the ``ensemble`` and of its members."""
        return self.answers.probabilities

    @cached_property
    def row_losses(self) -> Floats:
        """(n_decisions,) log losses of the ensemble."""
        return self.predictions.row_losses(self.ensemble[ENSEMBLE])

    @property
    def log_loss(self) -> float:
        """Cross-validated, of the ensemble."""
        return float(self.row_losses.mean())

    @property
    def accuracy(self) -> float:
        """Cross-validated, of the ensemble, in [0, 1]."""
        return self.predictions.accuracy(self.answers.decided)

    def fit(self, table: TextTable, run: Run) -> TextClassifier:
        """The ensemble with the heads, the weights and the rule that are best out of fold, fitted to a table."""
        choice = self.predictions.choose(self.candidate.goal)
        heads = {config: weight for config, weight in choice.heads.items() if config}
        return self.candidate.fit(table, run, blend=choice.blend, heads=heads or None, rule=choice.rule)


def evaluate(
    candidate: Candidate,
    table: TextTable,
    splits: Sequence[Split],
    run: Run,
    *,
    ulmfit: OutOfFoldPredictions | None = None,
) -> EvaluatedCandidate:
    """A candidate after ``cross_validate``."""
    return EvaluatedCandidate(candidate, cross_validate(candidate, table, splits, run, ulmfit=ulmfit))
