from dataclasses import replace

import pytest
import torch

from ulmfit_lib import TextTable
from ulmfit_lib.pipeline import plan as planning
from ulmfit_lib.pipeline.plan import FEWEST_PASSES, LM_TOKENS, MOST_PASSES, plan_fit
from ulmfit_lib.training.recipes import CPU, PAPER


def plan(lm, texts, **options):
    table = TextTable.from_lists(texts, ["a", "b"] * (len(texts) // 2))
    chosen = {"recipe": CPU, "strategy": CPU.strategy, "folds": None, "lm_epochs": None, **options}
    return plan_fit(table, table.texts, base=lm, ways=2, **{"device": torch.device("cpu"), **chosen})


FEW, MANY = ["a short text"] * 40, ["a long text " * 200] * 400


def test_few_labelled_tokens_are_fine_tuned_and_many_are_not(tiny_lm):
    assert plan(tiny_lm, FEW).strategy == "fine-tune"
    assert plan(tiny_lm, MANY).strategy == "features"
    assert plan(tiny_lm, FEW, folds=5).strategy == "features"
    assert plan(tiny_lm, MANY, strategy="fine-tune").tokens_fine_tuned > 0 == plan(tiny_lm, MANY).tokens_fine_tuned


def test_the_pair_is_weighed_on_as_many_folds_as_there_is_time_for(tiny_lm, monkeypatch):
    few, many = plan(tiny_lm, FEW), plan(tiny_lm, MANY, strategy="fine-tune")
    assert few.scored_folds == plan(tiny_lm, MANY).scored_folds == 5 and many.scored_folds == 2
    one_fit = few.tokens_fine_tuned // 7
    monkeypatch.setattr(planning, "FINE_TUNED_TOKENS", 5 * one_fit)
    assert plan(tiny_lm, FEW).scored_folds == 3 and plan(tiny_lm, FEW).tokens_fine_tuned == 5 * one_fit
    monkeypatch.setattr(planning, "FINE_TUNED_TOKENS", 3 * one_fit)
    assert plan(tiny_lm, FEW).strategy == "features"


def test_the_language_models_epochs_follow_the_length_of_the_texts(tiny_lm):
    short, long = plan(tiny_lm, FEW), plan(tiny_lm, MANY)
    assert short.fit_lm.frozen_epochs + short.fit_lm.epochs == MOST_PASSES
    passes = long.fit_lm.frozen_epochs + long.fit_lm.epochs
    assert FEWEST_PASSES < passes < MOST_PASSES and passes == round(LM_TOKENS / (2 * long.n_tokens))
    assert plan(tiny_lm, MANY, lm_epochs=7).fit_lm.epochs == 7
    assert plan(tiny_lm, MANY, recipe=PAPER, strategy=PAPER.strategy).fit_lm == PAPER.fit_lm


def test_of_very_many_texts_a_random_part_is_read(tiny_lm, monkeypatch):
    all_tokens = plan(tiny_lm, MANY).n_tokens
    assert plan(tiny_lm, MANY).part(MANY, seed=0) is MANY
    monkeypatch.setattr(planning, "MOST_LM_TOKENS", all_tokens)
    found = plan(tiny_lm, MANY)
    assert found.share == 1 / (2 * FEWEST_PASSES) and found.n_tokens == round(all_tokens / 4)
    numbers = [str(number) for number in range(400)]
    part = list(found.part(numbers, seed=0))
    assert len(set(part)) == 100 and part == sorted(part, key=int) != list(found.part(numbers, seed=1))
    table = TextTable.from_lists(MANY, ["a", "b"] * 200)
    assert "in a random 25% of the texts" in found.sentence(table, table, "8 held out", seconds=3)
    assert plan(tiny_lm, MANY, lm_epochs=7).share == 1


def test_a_gpu_reads_more_in_the_same_time(tiny_lm):
    there, here = plan(tiny_lm, MANY, device=torch.device("cuda")), plan(tiny_lm, MANY)
    assert (there.strategy, here.strategy) == ("fine-tune", "features") and there.fit_lm.epochs > here.fit_lm.epochs


def test_more_texts_come_in_larger_batches_and_fewer_epochs():
    few, some, many = (CPU.fit_classifier.for_texts(n) for n in (40, 1000, 100_000))
    assert (few.batch_size, few.epochs) == (8, 8)
    assert some.batch_size == many.batch_size == CPU.fit_classifier.batch_size
    assert few.epochs >= some.epochs > many.epochs == 4
    assert replace(CPU.fit_classifier, most_steps=0).for_texts(100_000).epochs == 8


@pytest.mark.parametrize(("seconds", "said"), [(3, "10 seconds"), (62, "60 seconds"), (600, "10 minutes")])
def test_the_plan_is_one_sentence(tiny_lm, seconds, said):
    found = plan(tiny_lm, FEW)
    table = TextTable.from_lists(FEW, ["a", "b"] * 20)
    sentence = found.sentence(table, table, "8 held out", seconds=seconds)
    assert f"about {said} on this machine" in sentence and "fine-tuned" in sentence and "40 labelled rows" in sentence
    assert found.seconds(tiny_lm, torch.device("cpu")) > 0
