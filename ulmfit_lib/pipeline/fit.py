"""From a table to a classifier: choose a base, cross-validate candidates while there is time, refit the best one."""

from dataclasses import replace
from pathlib import Path

from ulmfit_lib.artifact.catalogue import AUTO
from ulmfit_lib.data.table import TextTable, check_learnable
from ulmfit_lib.errors import Interrupted
from ulmfit_lib.models.classifier import TextClassifier
from ulmfit_lib.models.language_model import LanguageModel
from ulmfit_lib.pipeline.affordable import Affordable
from ulmfit_lib.pipeline.bases import choose_base, find_bases, usual_base
from ulmfit_lib.pipeline.budget import Budget, Step, check_minutes, default_minutes, shown
from ulmfit_lib.pipeline.candidates import Candidate, evaluate
from ulmfit_lib.pipeline.deciding import find_goal
from ulmfit_lib.pipeline.experiment import Experiment, Scoring
from ulmfit_lib.pipeline.plan import LmFineTuning, count_tokens, tokens_per_second
from ulmfit_lib.pipeline.scoping import other_texts
from ulmfit_lib.pipeline.search import Search
from ulmfit_lib.pipeline.time_order import check_times, time_report
from ulmfit_lib.progress import note
from ulmfit_lib.stages.fit_lm import fit_lm
from ulmfit_lib.training.classifying import CONTRAST, FINE_TUNE, LINEAR_PROBE, find_strategy
from ulmfit_lib.training.contrast import can_contrast, check_contrast
from ulmfit_lib.training.recipes import BY_TIME, Recipe, check_descriptions, find_recipe
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.seeding import leaves_random_numbers
from ulmfit_lib.training.tfidf import learn_topics

MIN_TOKENS = 50_000  # to fine-tune the language model on; on fewer, that brings nothing
FIRST_SHARE = 0.15  # of the time that is left, to fine-tune the language model on a sample of the texts
SECOND_SHARE = 0.45  # of what is left after that, to fine-tune it on as many texts as possible, if the sample paid


@leaves_random_numbers()
def fit(
    data: TextTable,
    *,
    base: str | Path | LanguageModel = AUTO,
    direction: str | None = None,
    recipe: str | Recipe = "cpu",
    strategy: str | None = None,
    minutes: float | None = None,
    scoring: Scoring = Scoring(),  # noqa: B008
    run: Run | None = None,
) -> TextClassifier:
    """Train a classifier on a table of texts within a given time, and report how good it is.

    The base is pretrained already (stage 1); stages 2 and 3 run as far as they pay within the time.

    1. Candidates are compared by cross-validation on the labelled rows (five folds; texts that are alike share one).
       The same scores are reported; only with more than 2,000 labelled rows, a held-out fifth gives them instead, and
       candidates are compared on a single part of the others. Where the given time is too short for all rows, some are
       left out, and the report says so.
    2. Linear probes on the frozen encoder of each base come first: seconds, and a first score. Beside ULMFiT stand
       TF-IDF + logistic regression, and the same on topics of the texts without a label, where these are many.
    3. Where there is time, the language model is fine-tuned on the texts without a label (``fit_lm``), on a sample of
       them first. Then the labels train the encoder, fold by fold: what words in context add to a text, by contrastive
       learning, and then all of it (``fit_classifier``). Each is kept only if it lowers the cross-validated log loss by
       more than chance would; contrastive learning, which usually pays, unless it raises it by as much. Ctrl-C ends
       this step: the best candidate is kept.
    4. The result is the best candidate, refitted to all labelled rows that are learned from: an ensemble of ULMFiT,
       TF-IDF and topics, weighed by log loss.

    Args:
        data: texts; a row without a label feeds the language model and the topics only.
        base: a pretrained model's name, a folder (of a language model, or of a classifier, whatever its classes), a
            language model; or ``auto``: the embedded distilled model, unless another's linear probe is clearly better.
        direction: ``forward``, ``backward`` or ``both``; default all that the base has.
        recipe: the hyperparameters of all stages: ``cpu`` (ours), ``paper``, ``scripts``, ``fastai``, ``multifit``, or
            one of your own (``training.recipes``). The published ones fine-tune the language model, whatever it brings
            and however long it takes.
        strategy: ``linear-probe`` (the head alone learns the labels), ``contrast`` (words in context, too, of a base
            that has them), ``fine-tune`` (the whole encoder, however long it takes), or ``auto``: what pays within the
            time; default the recipe's.
        minutes: to spend; default 1 for a hundred short texts, 2 for five hundred or for long ones, 10 for a thousand
            reviews and four thousand unlabelled ones.
        scoring: which rows are scored, and what decisions are chosen for.
        run: seed, device and checkpoints; a run that was stopped continues from these.

    Returns:
        The classifier; its ``training.report`` holds the scores and one sentence about them.

    Raises:
        DataError: labels that cannot be learnt from.
        ArtifactError: no such base.
        OptionError: an option out of range.
    """
    run = run or Run()
    recipe = find_recipe(recipe)
    strategy = find_strategy(strategy or recipe.strategy, also=BY_TIME)
    if minutes is not None:
        check_minutes(minutes)
    check_learnable(data)
    check_descriptions(recipe.descriptions, data.classes)
    if data.times:
        check_times(data)
    goal = find_goal(scoring.decide_for, data.classes, data.kind)
    bases = find_bases([base], data.texts, direction=direction, seed=run.seed)
    if strategy == CONTRAST:
        bases = [base for base in bases if can_contrast(base.lm)] or bases
        check_contrast(bases[0].lm)
    folder = run.checkpoints.folder if run.checkpoints else None
    budget = Budget(minutes, folder) if minutes else None
    affordable = Affordable(data, scoring)  # all rows and folds, unless the given time is too short for them
    fixed_epochs = not recipe.epochs_by_length  # of a published recipe, whose language model takes as long as it takes
    if budget and not fixed_epochs and strategy != FINE_TUNE:
        timed_lm = bases[0].lm.to(run.device)
        slow = replace(recipe.fit_classifier, frozen_pooling="layers")  # as some base may be read, and known texts are
        pooling = slow.pooling_for(LINEAR_PROBE, timed_lm)
        affordable = Affordable.of(data, scoring, lm=timed_lm, pooling=pooling, budget=budget, seed=run.seed)
    experiment = Experiment.of(affordable.data, affordable.scoring, seed=run.seed)
    train = experiment.train
    # A published recipe also fine-tunes on the texts, never the labels, of rows that are scored by cross-validation.
    texts = experiment.all_texts if fixed_epochs else experiment.texts
    tokenized_by = bases[0].lm  # every base would count about as many tokens
    lm_tuning = LmFineTuning(texts, recipe.fit_lm, count_tokens(texts, tokenized_by))
    minutes = minutes or default_minutes(lm_tuning.n_tokens + count_tokens(train.texts, tokenized_by), len(train))
    budget = budget or Budget(minutes, folder)  # without a given time, the clock starts here
    note(" ".join(filter(None, [experiment.sentence(minutes), affordable.left_out])) + budget.resumed())

    share = min(1.0, minutes, affordable.share)
    others = other_texts(affordable.data, seed=run.seed, share=share)
    probe = Candidate(
        bases[0].lm, recipe=recipe.fit_classifier, goal=goal, descriptions=recipe.descriptions, others=others
    )
    if affordable.left_out:
        chosen = usual_base(bases, train.texts)
    else:
        chosen = choose_base(bases, probe, experiment, run, share=share)
    note(chosen.why)
    topics = learn_topics(experiment.texts, labelled=len(train), seed=run.seed) if recipe.with_baseline else None
    compared = chosen.probe
    probe = compared.candidate if compared else replace(probe, lm=chosen.lm)
    probe = probe.changed(with_baseline=recipe.with_baseline, topics=topics)
    evaluated = evaluate(probe, train, experiment.splits, run, ulmfit=compared.predictions if compared else None)
    taken = budget.decide(Step.SCORING, "seconds taken", budget.spent())
    search = Search(experiment, budget, run, evaluated, taken)
    note(f"after {shown(budget.spent())}: cross-validated accuracy {100 * search.best.accuracy:.1f} % (linear probe)")
    try:
        if strategy != CONTRAST:  # which reads words in context alone
            if fixed_epochs and lm_tuning.n_tokens:
                search.best = search.evaluate(_with_tuned_lm(probe, lm_tuning, data.source, run))  # better or not
            elif lm_tuning.n_tokens >= MIN_TOKENS:
                _fine_tune_lm_while_it_pays(search, lm_tuning, data.source)
        _train_encoder(search, strategy, probe)
    except (KeyboardInterrupt, Interrupted):
        note("Stopped: the best classifier so far is kept. Press Ctrl-C again to keep nothing.")

    best = search.best
    report = experiment.report(best, experiment.predict_test(best, run))
    by_time = time_report(best, experiment, run) if data.times else None
    lm_reads_all = scoring.transductive or (fixed_epochs and not len(experiment.test))
    transductive = _who_read_the_scored(best.candidate, lm=lm_reads_all, topics=scoring.transductive)
    told = [report.sentence, transductive, by_time.sentence if by_time else "", affordable.left_out]
    report = replace(
        report,
        sentence=" ".join(filter(None, told)),
        time=by_time,
        base=chosen.why,
        tried=tuple(filter(None, [affordable.left_out, *search.tried])),
        minutes=minutes,
        share_of_time=share,
        transductive=bool(transductive),
    )
    known = affordable.data.texts if affordable.whole else ()  # beginnings are not what new texts are
    return experiment.refit(best, report, chosen.whole, run, seconds=budget.spent(), known=known)


def _fine_tune_lm_while_it_pays(search: Search, lm_tuning: LmFineTuning, source: str) -> None:
    """Fine-tune the language model on a sample of the texts; if it pays, on as many as there is time for.

    What depends on the clock goes through ``Budget.decide``, so that a run that was stopped decides the same again.
    """
    budget, probe = search.budget, search.best.candidate
    speed = tokens_per_second(probe.lm, lm_tuning.recipe.batch_size, search.run.device)
    speed = budget.decide(Step.READING, "speed", speed)
    for name, share in (("slice", FIRST_SHARE), ("all", SECOND_SHARE)):
        seconds = budget.decide(Step.READING, f"seconds for {name}", share * budget.left())
        part = lm_tuning.within(seconds, tokens_per_second=speed, seed=search.run.seed)
        if part.n_tokens < MIN_TOKENS:
            search.say(f"fine-tuning the language model was left out: {shown(seconds)} are too short to gain anything")
            return
        what = f"with the language model fine-tuned on {part.n_tokens:,} tokens of your texts, {part.passes} times"
        better = search.keep_if_better(search.evaluate(_with_tuned_lm(probe, part, source, search.run)), what)
        if not better or part.n_tokens == lm_tuning.n_tokens:
            return


def _train_encoder(search: Search, strategy: str, probe: Candidate) -> None:
    """Train what ``strategy`` names of an encoder, or both parts of it where that is up to the time.

    Contrastive learning starts from the linear ``probe`` of the base, as it reads no LSTM. Fine-tuning starts from the
    best language model.
    """
    tuned = search.best.candidate
    if strategy == CONTRAST or (strategy == BY_TIME and can_contrast(probe.lm)):
        search.train_encoder(probe, CONTRAST, forced=strategy == CONTRAST)
    if strategy in (FINE_TUNE, BY_TIME):
        search.train_encoder(tuned, FINE_TUNE, forced=strategy == FINE_TUNE)


def _who_read_the_scored(candidate: Candidate, *, lm: bool, topics: bool) -> str:
    """A sentence on what had read the texts of the rows that are scored, if it may; "" where nothing had."""
    have_read = {"the language model": candidate.passes and lm, "the topics": candidate.topics and topics}
    if not (readers := " and ".join(reader for reader, has_read in have_read.items() if has_read)):
        return ""
    return f"{readers.capitalize()} had read these rows' texts, without their labels (transductive)."


def _with_tuned_lm(candidate: Candidate, lm_tuning: LmFineTuning, source: str, run: Run) -> Candidate:
    """The candidate on a fine-tuned language model (stage 2)."""
    lm = fit_lm(lm_tuning.texts, base=candidate.lm, recipe=lm_tuning.recipe, source=source, run=run)
    return replace(candidate, lm=lm, passes=lm_tuning.passes)
