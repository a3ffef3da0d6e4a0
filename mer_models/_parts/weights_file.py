"""Files of weights: how their paths are told, what they count by, and how they are read without running any code."""

from __future__ import annotations

import argparse
import functools
import hashlib
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".weights")

_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights")
"""Under which of its keys a file that holds an optimiser and more besides has the weights, the likeliest first."""
_PREFIXES = ("module.", "_orig_mod.")
"""What torch's wrappers, for several GPUs and for compiling, put before every name."""
_DEEPEST = 4


def is_weights_file(given: str) -> bool:
    """Return whether a setting is the path of such a file, by its ending."""
    return given.endswith(SUFFIXES)


def by_content(value: Any) -> Any:
    """Return ``sha256:...`` of its bytes in the place of the path of a file of weights, and other values as they are.

    So a study's key depends on the weights, and neither on where they lie nor on what the file is called.
    """
    if not isinstance(value, str) or not is_weights_file(value):
        return value
    file = Path(value).expanduser()
    return file_content(file) if file.is_file() else value


def file_content(file: Path) -> str:
    """Return ``sha256:...`` of a file's bytes; a file that did not change is read once."""
    stat = file.stat()
    return f"sha256:{_sha256(file, stat.st_size, stat.st_mtime_ns)}"


@functools.cache
def _sha256(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read a file of weights; no code in it is run.

    What a training script puts around the weights is taken off: the entry of a checkpoint that holds them, and the
    prefix that torch's wrappers give to every name.

    Parameters
    ----------
    file : a safetensors file by its ending, else one that ``torch.save`` wrote, which is read with ``weights_only``.

    Returns
    -------
    Tensors by name, on the CPU.

    Raises
    ------
    DataError : it cannot be read, holds something besides tensors, or no tensors; the message tells which.
    """
    held = _read(file)
    weights = _weights_in(held, _DEEPEST)
    if weights is None:
        raise DataError(f"{file} holds no weights: expected tensors by name, and found {_told(held)}.")
    for prefix in _PREFIXES * 2:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def weights_of(setting: str, path: str) -> dict[str, Tensor]:
    """Return what ``read_weights`` reads of the file that a setting names.

    Parameters
    ----------
    setting : ``model.pretrained``, for messages.
    path : its value.

    Raises
    ------
    UsageError : there is no such file, or it holds no weights.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(f"{setting} is {path!r}, but there is no such file. Give the file where every node sees it.")
    try:
        return read_weights(file)
    except DataError as error:
        raise UsageError(f"{setting} is {path!r}, but {error}") from error


def check_same(
    held: Mapping[str, Tensor], wanted: Mapping[str, Tensor], setting: str, path: str, expected: str, options: str
) -> None:
    """Assert that the weights of a file have the names and shapes of a network's.

    Parameters
    ----------
    held : tensors by name, as in the file.
    wanted : the network's, by the same names.
    setting : ``model.pretrained``, for messages.
    path : its value.
    expected : what the file should hold, in words.
    options : the model's options that say which network it is.

    Raises
    ------
    UsageError : they have not; the first tensor that is missing, of another shape, or too much is named.
    """
    where = f"{setting} is {path!r}, but "
    for name, value in wanted.items():
        if name not in held:
            raise UsageError(f"{where}the file holds no {name}. Expected {expected}.")
        if held[name].shape != value.shape:
            raise UsageError(
                f"{where}its {name} is {tuple(held[name].shape)}, the network's {tuple(value.shape)}. Expected "
                f"{expected}; {options} say which network it is."
            )
    if extra := sorted(held.keys() - wanted.keys()):
        raise UsageError(f"{where}the network has no {extra[0]}. Expected {expected}.")


def _read(file: Path) -> Any:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        import torch

        with warnings.catch_warnings():
            # Of old and odd forms of files: what cannot be read of them is told below.
            warnings.simplefilter("ignore")
            # The settings of a training, which many a checkpoint keeps beside the weights, are values by name alone.
            with torch.serialization.safe_globals([argparse.Namespace]):
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own words advise to read such a file without weights_only, which would run what is in it.
        code = re.search(r"GLOBAL (\S+)", str(error))
        held = (
            f"holds {code[1]}, which is no tensor but code" if code else "is no file of tensors that torch.save wrote"
        )
        raise DataError(f"{file} cannot be read: it {held}. {_NO_CODE}") from error
    except Exception as error:
        # Both libraries raise what they like for a damaged file.
        if "TorchScript" in str(error):
            raise DataError(f"{file} cannot be read: it is a TorchScript program. {_NO_CODE}") from error
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{file} cannot be read: {type(error).__name__}: {reason}") from error


_NO_CODE = (
    "Code out of a file is never run here. Get the file again; or, where you trust it, open it with the program that "
    "wrote it and save the weights alone: torch.save(network.state_dict(), PATH)."
)


def _weights_in(held: Any, depth: int) -> dict[str, Tensor] | None:
    """Return the tensors by name in what a file holds: itself, or what one of its wrappers holds; None for none."""
    import torch

    if not isinstance(held, Mapping) or not held or not depth:
        return None
    if all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in held.items()):
        return dict(held)
    inner = (_weights_in(held.get(key), depth - 1) for key in _WRAPPERS)
    return next((found for found in inner if found is not None), None)


def _told(held: Any) -> str:
    if not isinstance(held, Mapping):
        return f"a {type(held).__name__}"
    if not held:
        return "nothing"
    kinds = ", ".join(f"{name} ({type(value).__name__})" for name, value in list(held.items())[:5])
    return f"{kinds}{', ...' if len(held) > 5 else ''}"
