from dataclasses import dataclass, replace

import pytest
import torch

from ulmfit_lib import fit_lm
from ulmfit_lib.errors import OptionError
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.run import Run, with_former_keywords
from ulmfit_lib.training.seeding import seeded


@dataclass(frozen=True)
class Settings:
    epochs: int = 2


@with_former_keywords(epochs="recipe")
def stage(text: str, *, recipe: Settings = Settings(), run: Run | None = None) -> tuple[str, int, int, torch.device]:
    run = run or Run()
    return text, recipe.epochs, run.seed, run.device


def test_a_run_settles_its_device_once_and_refuses_one_that_is_unknown():
    run = Run(seed=7, device="cpu")
    assert run.device == torch.device("cpu")
    assert replace(run, seed=8) == Run(seed=8, device="cpu")
    with pytest.raises(OptionError, match="device 'magic' is unknown"):
        Run(device="magic")


def test_a_part_of_a_run_keeps_its_checkpoints_in_a_subfolder(tmp_path):
    part = Run(device="cpu", checkpoints=Checkpoints(tmp_path, every=5)).within("trial")
    assert part.checkpoints is not None
    assert (part.checkpoints.folder, part.checkpoints.every) == (tmp_path / "trial", 5)
    assert Run(device="cpu").within("trial").checkpoints is None


def test_former_keywords_still_work_and_warn():
    cpu = torch.device("cpu")
    assert stage("a", run=Run(seed=1, device="cpu")) == ("a", 2, 1, cpu)
    with pytest.warns(DeprecationWarning, match=r"stage\(seed=...\) is deprecated: give run=Run\(seed=...\)"):
        assert stage("a", seed=3, run=Run(device="cpu")) == ("a", 2, 3, cpu)
    with pytest.warns(DeprecationWarning, match=r"stage\(epochs=...\) is deprecated"):
        assert stage("a", epochs=5, device="cpu") == ("a", 5, 42, cpu)
    with pytest.raises(TypeError):
        stage("a", magic=1)


def test_a_seed_holds_while_it_is_needed_and_the_callers_numbers_go_on():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(1):
        first = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(1):
        assert torch.equal(torch.rand(2), first)


def test_training_leaves_the_callers_random_numbers_alone(tiny_lm, fruit):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    fit_lm(fruit.texts, base=tiny_lm.only("forward"), epochs=1, run=Run(device="cpu"))
    assert torch.equal(torch.get_rng_state(), before)
