"""Networks that were pretrained, beside the outcomes: a folder each, named by the key of what was asked for.

A folder is that of a model (``model_folder``). Its configuration is written last, so that what has one is whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.base.errors import StoreError, UsageError
from preprocess.base.storage import open_storage
from results.store.model_folder import (
    CARD,
    CONFIGURATION,
    WEIGHTS,
    StoredModel,
    opened_files,
    read_configuration,
    read_model,
    sealed_files,
)

FOLDER = "pretrained"
SHORT = 12
"""How many digits of a key people are shown, and fewer than which name none."""
FEWEST = 6

_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Pretrained:
    """What must be known of a pretrained network to start folds from it honestly.

    Attributes
    ----------
    key : names it in the results.
    sha256 : of its file of weights; "" where it is not trained yet.
    model : the network.
    task : what it was trained for.
    datasets : what it was trained on.
    people : the subjects that it was trained on.
    samples : how many clips it was trained on.
    loss : the mean training loss of each epoch.
    synthetic : whether the clips were rendered.
    """

    key: str
    sha256: str
    model: str
    task: str
    datasets: tuple[str, ...]
    people: tuple[str, ...]
    samples: int
    loss: tuple[float, ...] = ()
    synthetic: bool = False

    @property
    def described(self) -> str:
        """Return what it was trained on, in a few words."""
        stamp = " (synthetic)" if self.synthetic else ""
        who = f"{len(self.people)} {'person' if len(self.people) == 1 else 'people'}"
        return f"{self.samples} clips of {who} of {'+'.join(self.datasets)}{stamp}, task {self.task}"


def facts_of(key: str, stored: StoredModel | Mapping[str, Any], sha256: str) -> Pretrained:
    """Return what a model's configuration tells of its training.

    Parameters
    ----------
    key : names it in the results.
    stored : the model, or its configuration.
    sha256 : of its file of weights.
    """
    told = stored.configuration if isinstance(stored, StoredModel) else stored
    trained_on = told["trained_on"]
    return Pretrained(
        key=key,
        sha256=sha256,
        model=told["model"],
        task=told["task"]["name"],
        datasets=tuple(sorted(trained_on["datasets"])),
        people=tuple(trained_on["people"]),
        samples=trained_on["samples"],
        loss=tuple(told.get("curves", {}).get("train_loss", ())),
        synthetic=bool(trained_on["synthetic"]),
    )


class PretrainedStore:
    """The pretrained networks of a results store.

    Parameters
    ----------
    root : of the results: a local folder, or an address.
    """

    def __init__(self, root: str) -> None:
        self._storage = open_storage(root)

    def where(self, key: str) -> str:
        """Return the address of a network's folder, for messages."""
        return self._storage.where(f"{FOLDER}/{key}")

    def stored_keys(self) -> list[str]:
        """Return the keys of all networks that are whole, sorted."""
        found = self._storage.find(FOLDER, CONFIGURATION) if self._storage.names(FOLDER) else []
        keys = (name.split("/")[1] for name in found if name.count("/") == 2)
        return sorted(key for key in keys if _KEY.fullmatch(key))

    def write(self, key: str, configuration: Mapping[str, Any], weights: Mapping[str, np.ndarray], card: str) -> None:
        """Write a network; the same again changes nothing.

        Parameters
        ----------
        key : names it.
        configuration, weights, card : as for ``write_model``.

        Raises
        ------
        StoreError : it cannot be written.
        """
        files, _ = sealed_files(configuration, weights, card)
        for name in (WEIGHTS, CARD, CONFIGURATION):
            self._storage.write(f"{FOLDER}/{key}/{name}", files[name])

    def remove(self, key: str) -> None:
        """Remove a network, if it is there."""
        self._storage.delete(f"{FOLDER}/{key}/{CONFIGURATION}")
        self._storage.delete_folder(f"{FOLDER}/{key}")

    def read(self, key: str) -> StoredModel:
        """Return a network with its weights.

        Raises
        ------
        StoreError : it is not there or not whole, or a file of it was edited; the file is named.
        """
        files = {}
        for name in (CONFIGURATION, WEIGHTS, CARD):
            try:
                files[name] = self._storage.read(f"{FOLDER}/{key}/{name}")
            except FileNotFoundError:
                missing = f"{self.where(key)}/{name}"
                raise StoreError(
                    f"{missing} does not exist: this pretrained network is not whole. Remove {self.where(key)} and "
                    "pretrain again with the same command."
                ) from None
        return opened_files(files, self.where(key))

    def copy_in(self, folder: Path, key: str) -> None:
        """Copy a model's folder here, where every worker finds it; one that is there stays.

        Parameters
        ----------
        folder : as ``read_model`` takes it.
        key : names it here.

        Raises
        ------
        StoreError : it cannot be read or written.
        """
        if self.facts(key) is None:
            read_model(folder)
            for name in (WEIGHTS, CARD, CONFIGURATION):
                self._storage.write(f"{FOLDER}/{key}/{name}", (folder / name).read_bytes())

    def facts(self, key: str) -> Pretrained | None:
        """Return what must be known of a network, without reading its weights; None where it is not there.

        Raises
        ------
        StoreError : its configuration was edited or is damaged.
        """
        try:
            told = self.configuration(key)
        except FileNotFoundError:
            return None
        return facts_of(key, told, told["files"][WEIGHTS])

    def configuration(self, key: str) -> dict[str, Any]:
        """Return all that a network's folder tells.

        Raises
        ------
        FileNotFoundError : there is none, or it is not whole.
        StoreError : its configuration was edited or is damaged.
        """
        content = self._storage.read(f"{FOLDER}/{key}/{CONFIGURATION}")
        return read_configuration(content, f"{self.where(key)}/{CONFIGURATION}")

    def find(self, text: str) -> str:
        """Return the whole key that begins with a text.

        Raises
        ------
        UsageError : no key does, or several; those that are there are named.
        """
        keys = self.stored_keys()
        fitting = [key for key in keys if key.startswith(text.lower())] if len(text) >= FEWEST else []
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UsageError(
                f"--pretrain {text}: {len(fitting)} keys begin so: {', '.join(key[:SHORT] for key in fitting)}. Give "
                "more of its digits."
            )
        there = "; ".join(self._told(key) for key in keys[:8]) + (" ..." if len(keys) > 8 else "")
        raise UsageError(
            f"--pretrain {text}: no pretrained network of this key, and no folder of this name. In "
            f"{self._storage.where(FOLDER)}: {there or 'none'}. Expected the first {FEWEST} digits or more of a key, "
            "a folder of `merbench pretrain` or `merbench fit`, or auto; `merbench pretrain MODEL --data MACRO` makes "
            "one."
        )

    def _told(self, key: str) -> str:
        facts = self.facts(key)
        assert facts is not None
        return f"{key[:SHORT]} ({facts.model}, {facts.described})"
