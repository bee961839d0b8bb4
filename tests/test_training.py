import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fastai.text.models.awdlstm import WeightDropout

from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.models.awd_lstm import Encoder, LanguageModelNet
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.models.head import ClassifierNet, Head
from ulmfit_lib.models.lstm import LSTM
from ulmfit_lib.training.losses import SampledSoftmax, _log_inclusion, _LogSumExp
from ulmfit_lib.training.schedules import discriminative_lrs, gradual_unfreezing, one_cycle, slanted_triangular


@pytest.mark.parametrize("total", [10, 100, 1000])
def test_the_slanted_triangle_is_the_papers_step_by_step(total):
    cut_frac, ratio, highest = 0.1, 32, 0.01
    cut = math.floor(total * cut_frac)
    for t in range(total + 1):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        expected = highest * (1 + p * (ratio - 1)) / ratio
        assert highest * slanted_triangular(t / total) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", [slanted_triangular, one_cycle])
def test_schedules_stay_in_bounds_wherever_they_are_asked(schedule):
    values = [schedule(p) for p in (-1, 0, 1e-9, 0.1, 0.25, 0.5, 1, 1.001, 7)]
    assert all(0 < value <= 1 for value in values) and max(values) > 0.8
    assert schedule(1.001) == schedule(1)


def test_rates_fall_by_the_decay_towards_the_input():
    assert discriminative_lrs(0.01, 4) == pytest.approx([0.01 / 2.6**3, 0.01 / 2.6**2, 0.01 / 2.6, 0.01])


def test_unfreezing_starts_with_the_last_group_and_ends_with_all():
    assert gradual_unfreezing(5) == [4, 3, 2, 1, 0]


def net_of(vocab, dropouts=None):
    torch.manual_seed(0)
    net = LanguageModelNet(Architecture(8, 12, 2), vocab, dropouts)
    torch.nn.init.normal_(net.bias)
    return net


def test_the_fused_log_sum_exp_has_autograds_value_and_gradient():
    torch.manual_seed(0)
    inputs = [torch.randn(*shape, requires_grad=True) for shape in ((700, 8), (20, 8), (20,))]
    left_out = torch.randint(-1, 20, (700,))
    vectors, rows, bias = inputs
    scores = (vectors @ rows.T + bias).masked_fill(torch.arange(20) == left_out[:, None], -math.inf)
    expected = scores.logsumexp(1)
    gradients = torch.autograd.grad(expected.sin().sum(), inputs)
    found = _LogSumExp.apply(vectors, rows, bias, left_out, False)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(torch.autograd.grad(found.sin().sum(), inputs), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_the_chances_of_being_drawn_add_up_to_the_sample():
    frequencies = 1 / np.arange(1, 1001)
    chances = np.exp(_log_inclusion(frequencies / frequencies.sum(), 100))
    assert chances.sum() == pytest.approx(100, rel=1e-3) and (np.diff(chances) <= 0).all()


def test_the_sampled_loss_leads_to_the_full_loss_minimum():
    """Trained by the sampled loss alone, a bias-only model finds the words' frequencies."""
    counts = (10_000 / np.arange(1, 201)).astype(np.int64)
    net = net_of(200)
    loss = SampledSoftmax(net, counts, samples=60)
    net.train()
    with torch.no_grad():
        net.encoder.encoder.weight.zero_()
    optimizer = torch.optim.Adam([net.bias], lr=0.05)
    frequencies = torch.tensor(counts / counts.sum(), dtype=torch.float32)
    for _ in range(300):
        targets = torch.multinomial(frequencies, 512, replacement=True)[None]
        optimizer.zero_grad()
        loss(torch.zeros(1, 512, 8), targets).backward()
        optimizer.step()
    found = net.bias.detach().log_softmax(0)
    divergence = float((frequencies * (frequencies.log() - found)).sum())
    assert divergence < 0.03


def test_outside_training_the_loss_is_the_full_one():
    net = net_of(300).eval()
    vectors, targets = torch.randn(3, 5, 8), torch.randint(300, (3, 5))
    full = F.cross_entropy(net.logits(vectors).flatten(0, 1), targets.flatten())
    torch.testing.assert_close(SampledSoftmax(net, np.ones(300, np.int64), samples=50)(vectors, targets), full)


@pytest.mark.parametrize("weight_p", [0.0, 0.5])
def test_weight_dropout_at_any_probability_survives_training_and_evaluation(weight_p):
    net = net_of(30, Dropouts(weight=weight_p, input=0.2, hidden=0.2, embedding=0.1, output=0.1))
    ids = torch.randint(30, (2, 6))
    for training in (True, False, True, False):
        net.train(training)
        net.reset()
        net(ids).sum().backward()
    assert set(net.named_weights()) == set(Architecture(8, 12, 2).weight_shapes(30))


def test_the_same_weights_are_left_out_in_all_windows_of_a_batch(monkeypatch):
    drawn, draw = [], WeightDropout._setweights
    monkeypatch.setattr(WeightDropout, "_setweights", lambda layer: drawn.append(draw(layer)))
    net = ClassifierNet(Encoder(Architecture(8, 12, 2), 30, Dropouts(weight=0.5)), "layers", Head(28, 2)).train()
    for _ in range(2):
        net(torch.randint(30, (2, 200)), torch.tensor([200, 150])).square().sum().backward()
    assert len(drawn) == 2 * 2
    assert all(weight.grad.any() for weight in net.parameters())


def test_a_stream_cut_in_two_gives_the_states_of_the_whole():
    net = net_of(30).eval()
    ids = torch.randint(30, (2, 10))
    whole = net(ids)
    net.reset()
    torch.testing.assert_close(torch.cat([net(ids[:, :4]), net(ids[:, 4:])], dim=1), whole)


def test_groups_hold_every_parameter_once():
    net = net_of(30, Dropouts(weight=0.5))
    grouped = [id(p) for group in net.layer_groups() for p in group]
    assert sorted(grouped) == sorted(id(p) for p in net.parameters())


@pytest.mark.parametrize("batch", [1, 5])
def test_the_layer_that_learns_in_bfloat16_has_pytorchs_gradients(batch):
    torch.manual_seed(0)
    ours, theirs = LSTM(12, 16), torch.nn.LSTM(12, 16, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    inputs, weights = torch.randn(batch, 9, 12), torch.randn(batch, 9, 16)
    state = torch.randn(1, batch, 16), torch.randn(1, batch, 16)
    results = []
    for layer, half in ((ours, True), (theirs, False)):
        x = inputs.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            outputs, ends = layer(x, state)
        (outputs.float() * weights).sum().backward()
        results.append([outputs, *ends, x.grad, *(parameter.grad for parameter in layer.parameters())])
    for found, expected in zip(*results, strict=True):
        error = (found.float() - expected).norm() / expected.norm()
        assert found.shape == expected.shape and error < 0.02
