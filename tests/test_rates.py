import json
from dataclasses import replace

import numpy as np
import pytest

from ulmfit_lib.errors import DataError
from ulmfit_lib.stages.fit_lm import FINE_TUNE
from ulmfit_lib.stages.lr_find import lr_find_classifier, lr_find_lm
from ulmfit_lib.training.range_test import suggest
from ulmfit_lib.training.recipes import CPU
from ulmfit_lib.training.run import Run


def valley_and_wall(rates):
    return list(2 - 0.3 * np.clip(np.log10(rates) + 5, 0, 3) + 4 * np.clip(np.log10(rates) + 1, 0, None) ** 2)


def test_suggestions_lie_where_the_loss_falls():
    rates = np.geomspace(1e-7, 10, 100)
    found = suggest(list(rates), valley_and_wall(rates))
    assert set(found) == {"valley", "slide", "steep", "minimum"}
    assert 1e-5 < found["valley"] < 1e-1 and 1e-5 <= found["steep"] < 1e-1


def test_a_curve_of_few_steps_suggests_nothing():
    assert suggest([1e-7, 1e-6, 1e-5], [1.0, 2.0, 9.0]) == {}


@pytest.mark.slow
def test_the_loss_is_tried_at_growing_rates_until_it_explodes(tiny_lm, fruit):
    before = tiny_lm.sha256()
    of_texts = lr_find_lm(fruit.texts, base=tiny_lm, run=Run(device="cpu"), recipe=replace(FINE_TUNE, min_count=1))
    of_labels = lr_find_classifier(fruit, lm=tiny_lm.only("backward"), run=Run(device="cpu"))
    for found, recipe in ((of_texts, CPU.fit_lm), (of_labels, CPU.fit_classifier)):
        assert found.recipe == recipe.lr and found.rates[0] == pytest.approx(1e-7)
        assert len(found.losses) == len(found.rates) <= 100 and np.all(np.diff(found.rates) > 0)
        assert np.isfinite(found.losses).all()
    assert of_labels.losses[-1] > 1.5 * min(of_labels.losses)  # a rate of 10 is too high for anything
    assert tiny_lm.sha256() == before


def test_no_text_no_rates(tiny_lm):
    with pytest.raises(DataError):
        lr_find_lm([], base=tiny_lm, run=Run(device="cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("labels", [[], ["--label", "sentiment"]])
def test_the_command_prints_them_beside_the_recipes(ulmfit, lm_folder, write_csv, fruit, tmp_path, labels):
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    given = ["lr-find", data, "--text", "review", *labels, "--base", lm_folder]
    code, stdout, stderr = ulmfit(*given, "--plots", tmp_path / "plots")
    assert code == 0, stderr
    assert "the recipe takes" in stdout and (tmp_path / "plots" / "lr-find.png").is_file()
    code, stdout, _ = ulmfit(*given, "--json")
    assert code == 0 and json.loads(stdout)["recipe"] == (0.005 if labels else 0.004)
