from dataclasses import replace

import pytest
import torch

from ulmfit_lib import fit_lm
from ulmfit_lib.errors import OptionError
from ulmfit_lib.training.checkpoints import Checkpoints
from ulmfit_lib.training.run import Run
from ulmfit_lib.training.seeding import seeded


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
