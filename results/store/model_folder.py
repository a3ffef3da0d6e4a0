"""The folder of a trained model: weights, card and configuration, sealed by a hash, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.base.errors import StoreError
from preprocess.base.hashing import digest

CONFIGURATION, WEIGHTS, CARD = "model.json", "weights.safetensors", "MODEL_CARD.md"
FORMAT = 1
"""Raised whenever older folders can no longer be read."""

_SEAL = ("files", "hash")
_AGAIN = "Get the folder again as `merbench fit` wrote it, or fit the model again."


@dataclass(frozen=True)
class StoredModel:
    """What a folder holds.

    Attributes
    ----------
    configuration : plain JSON values: the model, its settings, its task and features, whom it was trained on.
    weights : name -> array.
    key : the hash of all of it.
    sha256 : of the file of weights.
    """

    configuration: dict[str, Any]
    weights: dict[str, np.ndarray]
    key: str
    sha256: str


def check_free(folder: Path) -> None:
    """Check that a model can be written to a folder: nothing is there yet, or an empty folder.

    Raises
    ------
    StoreError : something is.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        what = "holds files" if folder.is_dir() else "is a file"
        raise StoreError(
            f"{folder} exists and {what}; a model goes into a folder of its own. Remove it or name another."
        )


def write_model(folder: Path, configuration: Mapping[str, Any], weights: Mapping[str, np.ndarray], card: str) -> str:
    """Write a trained model into a folder, which appears when it is complete; return its hash.

    Parameters
    ----------
    folder : as ``check_free`` allows it.
    configuration : plain JSON values; the hashes of the files are added.
    weights : name -> array of a numeric dtype.
    card : the model card, Markdown.

    Raises
    ------
    StoreError : the folder is taken or cannot be written, or the weights hold something that safetensors cannot.
    """
    check_free(folder)
    files, key = sealed_files(configuration, weights, card)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
        try:
            for name, content in files.items():
                (temporary / name).write_bytes(content)
            # mkdtemp makes private folders.
            temporary.chmod(0o777 & ~_umask())
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise StoreError(
            f"Writing the model to {folder} failed: {error.strerror or error}. Nothing is left there; make room or "
            "name another folder."
        ) from error
    return key


def sealed_files(
    configuration: Mapping[str, Any], weights: Mapping[str, np.ndarray], card: str
) -> tuple[dict[str, bytes], str]:
    """Return the files of a model, the configuration last, and the hash of all of it.

    Parameters
    ----------
    configuration, weights, card : as for ``write_model``.

    Raises
    ------
    StoreError : the weights hold something that safetensors cannot.
    """
    files = {WEIGHTS: _safetensors(weights), CARD: card.encode()}
    body = {**configuration, "format": FORMAT, "files": {name: _sha256(held) for name, held in files.items()}}
    key = digest(body)
    files[CONFIGURATION] = (json.dumps({**body, "hash": key}, indent=1, allow_nan=False) + "\n").encode()
    return files, key


def read_model(folder: Path) -> StoredModel:
    """Read a folder that ``write_model`` wrote, and check it against its hashes.

    Raises
    ------
    StoreError : a file is missing, was edited or is damaged, or another version of this program wrote it; it is named.
    """
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise StoreError(f"{folder.absolute()} {state}; expected a folder that `merbench fit` wrote.")
    if missing := [name for name in (CONFIGURATION, WEIGHTS, CARD) if not (folder / name).is_file()]:
        raise StoreError(f"{folder} is no complete model: {', '.join(missing)} is missing. {_AGAIN}")
    try:
        files = {name: (folder / name).read_bytes() for name in (CONFIGURATION, WEIGHTS, CARD)}
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be read: {error.strerror}.") from error
    return opened_files(files, str(folder))


def opened_files(files: Mapping[str, bytes], where: str) -> StoredModel:
    """Return the model that ``sealed_files`` made files of, checked against its hashes.

    Parameters
    ----------
    files : name -> content, of all three.
    where : the folder, for messages.

    Raises
    ------
    StoreError : one was edited or is damaged, or another version of this program wrote it; it is named.
    """
    told = read_configuration(files[CONFIGURATION], f"{where}/{CONFIGURATION}")
    for name in (WEIGHTS, CARD):
        if told["files"].get(name) != _sha256(files[name]):
            raise StoreError(f"{where}/{name} was edited or is damaged: its hash is not the one in the seal. {_AGAIN}")
    configuration = {name: value for name, value in told.items() if name not in _SEAL}
    weights = _arrays(f"{where}/{WEIGHTS}", files[WEIGHTS])
    return StoredModel(configuration, weights, told["hash"], told["files"][WEIGHTS])


def read_configuration(content: bytes, file: str) -> dict[str, Any]:
    """Return what a model's configuration says, its seal with it.

    Parameters
    ----------
    content : of the file.
    file : its address, for messages.

    Raises
    ------
    StoreError : it is none, was edited, or another version of this program wrote it.
    """
    told: Any = None
    with contextlib.suppress(ValueError):
        told = json.loads(content)
    if not isinstance(told, dict) or not isinstance(told.get("files"), dict) or "hash" not in told:
        raise StoreError(f"{file} is no configuration of a model. {_AGAIN}")
    if told.get("format") != FORMAT:
        raise StoreError(
            f"{file} is of format {told.get('format')!r}, and this version of merbench reads {FORMAT}. Use the version "
            "that wrote it, or fit the model again."
        )
    if told["hash"] != digest({name: value for name, value in told.items() if name != "hash"}):
        raise StoreError(f"{file} was edited: its hash is not that of its content. {_AGAIN}")
    return told


def _safetensors(weights: Mapping[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    for name, array in weights.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
            raise StoreError(
                f"The model cannot be stored: its state {name!r} is {kind}, and safetensors holds arrays of numbers. "
                "Return such arrays from the model's state()."
            )
    # safetensors writes the memory as it lies, so a transposed view would come back scrambled.
    return save({name: np.asarray(array, order="C") for name, array in weights.items()})


def _arrays(file: str, content: bytes) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except SafetensorError as error:
        raise StoreError(f"{file} is no whole safetensors file: {error}. {_AGAIN}") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
