"""A network's form held against the authors' own class: weights and input by a fixed rule, and the outputs pinned.

Outside of this project the authors' class gets the same weights, copied layer by layer from ``with_fixed_weights``, and
the same input. Its outputs are facts, and stand with the model (``ModelFacts.checked``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench.checks.check import NotTried, expect
from mer_models.contracts import Checked
from mer_models.registry import ModelInfo


def with_fixed_weights(network: nn.Module) -> nn.Module:
    """Fill all weights and statistics of a network by a rule, and switch it to evaluation.

    The i-th floating-point tensor of ``state_dict()``, i counted from 1, becomes a sine: sin(i + k k mod 1,000,003) at
    its k-th number, k counted from 0. Of variances 1 + half of it; of one-dimensional tensors called "weight" 1 + a
    tenth of it; of other tensors of one dimension or none a tenth; of all others the sine divided by the square root of
    the numbers that lead to one output (the size divided by the first length). The square keeps the sums of a wide
    layer from cancelling out, as those of an even sine do: the outputs would hang on the last layer's bias alone.

    Returns
    -------
    The network itself.
    """
    values = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    with torch.no_grad():
        for place, (name, value) in enumerate(values.items(), start=1):
            value.copy_(_filled(name, value, place))
    return network.eval()


def fixed_input(shape: tuple[int, ...], place: int = 0, ends: tuple[float, float] = (-1.0, 1.0)) -> Tensor:
    """Return an input: sin(0.7 k + place) at its k-th number, float32.

    Parameters
    ----------
    shape : of the input.
    place : counts a network's inputs from 0.
    ends : what the sine's -1 and 1 become, all between in proportion.
    """
    count = int(torch.Size(shape).numel())
    wave = torch.sin(0.7 * torch.arange(count, dtype=torch.float64) + place)
    low, high = ends
    if ends != (-1.0, 1.0):
        wave = low + (high - low) * (wave + 1) / 2
    return wave.to(torch.float32).reshape(shape)


def outputs_of(info: ModelInfo, checked: Checked, backwards: bool = False) -> Tensor:
    """Return what our form gives for the fixed input, flattened, float64.

    Parameters
    ----------
    info, checked : the model and its compared form.
    backwards : give it each sample's values in reverse order, to see what the outputs owe to the input.
    """
    network: Any = info.build(n_classes=checked.n_classes, **{**info.params, **checked.form})
    with_fixed_weights(network)
    ranges = checked.ranges or ((-1.0, 1.0),) * len(checked.inputs)
    inputs = [
        fixed_input(shape, place, ends) for place, (shape, ends) in enumerate(zip(checked.inputs, ranges, strict=True))
    ]
    if backwards:
        inputs = [values.flip(tuple(range(1, values.dim()))) for values in inputs]
    with torch.no_grad():
        return network(*inputs).flatten().to(torch.float64)


def check_authors_numbers(info: ModelInfo) -> None:
    """The compared forms give the outputs of the authors' class, for the same weights and input."""
    if not info.checked:
        raise NotTried("it was not held against its authors' code")
    for checked in info.checked:
        found = outputs_of(info, checked)[: len(checked.outputs)]
        wanted = torch.tensor(checked.outputs, dtype=torch.float64)
        error = (found - wanted).abs()
        allowed = checked.tolerance * wanted.abs().clamp(min=1)
        worst = int((error - allowed).argmax())
        expect(
            bool((error <= allowed).all()),
            f"{checked.against}: output {worst} is {found[worst]:.8g}; the authors' class gives {wanted[worst]:.8g}.",
        )


def _filled(name: str, value: Tensor, place: int) -> Tensor:
    index = torch.arange(value.numel())
    wave = torch.sin(place + (index * index % 1_000_003).to(torch.float64)).reshape(value.shape)
    if name.endswith("running_var"):
        return 1 + wave / 2
    if value.dim() > 1:
        return wave / (value.numel() / value.shape[0]) ** 0.5
    return (1 + wave / 10) if name.endswith("weight") and value.dim() == 1 else wave / 10
