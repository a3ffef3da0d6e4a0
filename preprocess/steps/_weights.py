"""Networks of others (interpolators, magnifiers) as TorchScript files that the user names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.base.errors import DataError, UsageError

# Two frames (H, W, C) of 0..255 and a number -> a frame (H, W, C) float32 of 0..255.
PairNetwork = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def load_pair_network(weights: str | None, step: str, number: str) -> PairNetwork:
    """Load a TorchScript network that makes one frame of two frames and a number.

    The network takes two (1, 3, H, W) float32 tensors of 0..1 and a (1, 1, 1, 1) float32 tensor with the number, and
    must return (1, 3, H, W). A grey frame is repeated into three channels, and the mean of the result's channels is
    taken. The network runs on one CPU thread, so that its last bit does not depend on how many cores the machine has.

    Parameters
    ----------
    weights : path of the file.
    step : the name of the step, for messages.
    number : what the number means ("a time"), for messages.

    Returns
    -------
    A function of two frames (H, W, C), 0..255, and the number, which returns a frame (H, W, C) float32, 0..255.

    Raises
    ------
    UsageError : no path is given.
    DataError : the file is missing or cannot be loaded, or the network fails or returns something else when it is
        called.
    """
    if weights is None:
        raise UsageError(f"Step {step}: method weights needs the option weights: the path of a TorchScript file.")
    path = Path(weights)
    if not path.is_file():
        raise DataError(f"Step {step}: the weights {path} are not a file. Give the path of a TorchScript file.")
    network = _loaded(path, step)

    def call(first: np.ndarray, second: np.ndarray, value: float) -> np.ndarray:
        import torch

        pair = [_as_tensor(frame) for frame in (first, second)]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                result = network(*pair, torch.full((1, 1, 1, 1), value))
        except (RuntimeError, TypeError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise DataError(
                f"Step {step}: the network {path} failed on two (1, 3, H, W) frames and {number}: {reason}."
            ) from error
        finally:
            torch.set_num_threads(threads)
        if not isinstance(result, torch.Tensor) or result.shape != pair[0].shape:
            shape = tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__
            raise DataError(f"Step {step}: the network {path} gave {shape}; expected {tuple(pair[0].shape)}.")
        frame = result[0].permute(1, 2, 0).to(torch.float32).numpy() * 255
        frame = frame if first.shape[-1] == 3 else frame.mean(axis=2, keepdims=True)
        return np.clip(frame, 0, 255).astype(np.float32)

    return call


def _loaded(path: Path, step: str) -> Any:
    import torch

    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"Step {step}: {path} cannot be loaded as TorchScript: {reason}.") from error


def _as_tensor(frame: np.ndarray) -> Any:
    import torch

    colour = frame if frame.shape[-1] == 3 else np.repeat(frame, 3, axis=2)
    return torch.from_numpy(np.ascontiguousarray(colour.transpose(2, 0, 1)[None], dtype=np.float32) / 255)
