"""Matrix products that not every CPU or version of PyTorch has, and by trying, which of them work here.

Whoever uses one of them asks its probe first, and has a plain path beside it. The environment variable ``ULMFIT_CPU``
narrows what the probes allow, so that every path can be tested on any machine: ``avx2`` as on a CPU without AVX-512,
``plain`` none of these products at all; ``auto``, the default, all that work.
"""

import os
import warnings
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

SWITCH = "ULMFIT_CPU"


class Steps(NamedTuple):
    """How finely the numbers of a product of bytes are rounded: steps on either side of zero."""

    inputs: int
    weights: int


FULL = Steps(127, 127)
REDUCED = Steps(91, 90)  # where a CPU adds two products within 16 bits: 2 * (2 * 91) * 90 = 32,760 still fits
TRIED = ((1, 32), (3, 64), (8, 96), (65, 160))  # rows and columns: every kernel that a product may go through


def allowed() -> str:
    """What the environment allows: ``auto``, ``avx2`` or ``plain``."""
    return os.environ.get(SWITCH, "auto")


def has_bfloat16() -> bool:
    """Whether PyTorch multiplies bfloat16 in hardware here, so that it is faster than float32."""
    return allowed() == "auto" and _has_bfloat16()


def packs_bfloat16() -> bool:
    """Whether ``packed_bfloat16`` works here."""
    return allowed() == "auto" and _packs_bfloat16()


def int8_steps() -> Steps | None:
    """The finest rounding with which an ``Int8Matrix`` is exact here; None: it does not work, or gains nothing."""
    if allowed() == "plain":
        return None
    return next((steps for steps in (FULL, REDUCED)[allowed() == "avx2" :] if _int8_is_exact(steps)), None)


def packed_bfloat16(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """What multiplies (rows, n_in) by a (n_out, n_in) matrix, which is brought into oneDNN's own order once for all."""
    ready = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return lambda inputs: torch.ops.mkldnn._linear_pointwise(inputs, ready, None, "none", [], "")


class Int8Matrix:
    """A matrix of 8 bits, and a bias, that small numbers, rounded to 8 bits, are multiplied by (FBGEMM).

    Each row of the (n_out, n_in) weights has a scale of its own; inputs, which lie within ``largest`` of zero, have one
    for all (``int8_steps``), so that the products are sums of whole numbers, without any rounding, whatever the rows
    beside them.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, *, steps: Steps, largest: float = 1.0) -> None:
        self._step, self._zero = largest / steps.inputs, steps.inputs
        scale = weight.abs().amax(1).clamp_min(1e-12) / steps.weights
        rounded = (weight / scale[:, None]).round().to(torch.int8)
        zeros = torch.zeros(len(weight), dtype=torch.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that PyTorch may give up such tensors: the probe will tell
            quantized = torch._make_per_channel_quantized_tensor(rounded, scale.double(), zeros, 0)
        engine = torch.backends.quantized.engine
        torch.backends.quantized.engine = "fbgemm"
        try:
            self._packed = torch.ops.quantized.linear_prepack(quantized, bias)
        finally:
            torch.backends.quantized.engine = engine

    def __call__(self, inputs: Tensor) -> Tensor:
        """(rows, n_in) float32 -> (rows, n_out) float32."""
        product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            inputs, self._step, self._zero, self._packed
        )
        return product


@cache
def _has_bfloat16() -> bool:
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()  # of the CPU, whatever PyTorch may use of it
    return known and torch.backends.cpu.get_cpu_capability() == "AVX512" and _packs_bfloat16()


@cache
def _packs_bfloat16() -> bool:
    """Small whole numbers, so that the products are exact in bfloat16."""
    try:
        for rows, width in TRIED:
            weight, inputs = _whole_numbers(width, width, 1).bfloat16(), _whole_numbers(rows, width, 1).bfloat16()
            found = packed_bfloat16(weight, rows)(inputs)
            if not torch.equal(found.float(), (inputs.float() @ weight.float().t()).bfloat16().float()):
                return False
    except (AttributeError, RuntimeError):  # another CPU or another version of PyTorch
        return False
    return True


@cache
def _int8_is_exact(steps: Steps) -> bool:
    """With the largest numbers, and with any."""
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False  # where vectors are shorter, float32 is as fast
    try:
        for rows, width in TRIED:
            inputs, weight = _whole_numbers(rows, width, steps.inputs), _whole_numbers(width, width, steps.weights)
            largest = torch.full_like(inputs, steps.inputs), torch.full_like(weight, steps.weights)
            weight[:, 0] = steps.weights  # so that each is one step
            for whole, factors in ((inputs, weight), largest):
                found = Int8Matrix(factors, steps=steps)(whole / steps.inputs) * steps.inputs
                if not torch.equal(found.round(), whole @ factors.t()):
                    return False
    except (AttributeError, RuntimeError):  # another CPU or another version of PyTorch
        return False
    return True


def _whole_numbers(rows: int, columns: int, largest: int) -> Tensor:
    drawn = torch.Generator().manual_seed(0)
    return torch.randint(-largest, largest + 1, (rows, columns), generator=drawn).float()
