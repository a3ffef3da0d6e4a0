"""How a recipe walks through the training samples: which rows an epoch shows, its batches, its learning rate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.engine.inputs import Inputs
from mer_models.contracts import TrainingRecipe

Mixed = tuple[Tensor, float]


class Epochs:
    """The batches of a fold's epochs. Whatever is drawn comes from the fold's seed.

    Parameters
    ----------
    recipe : how the network is trained.
    inputs : the features.
    train : row numbers of the training samples.
    labels : of all samples, (n,) class indices, or (n, n_classes) of 0 and 1 in a multi-label task.
    seed : the fold's seed.
    """

    def __init__(
        self,
        recipe: TrainingRecipe,
        inputs: Inputs,
        train: np.ndarray,
        labels: np.ndarray,
        seed: int,
    ) -> None:
        self._recipe, self._inputs, self._train = recipe, inputs, train
        self._own = labels[train] if labels.ndim == 1 else _rarest(labels[train])
        self._order = torch.Generator().manual_seed(seed)
        # Draws of their own, so that a recipe without any of these options is drawn as if they did not exist.
        self._rng = np.random.default_rng([seed, 3])

    def rows(self) -> Tensor:
        """Return the rows of one epoch, in the order in which they are shown."""
        shown = torch.from_numpy(self._balanced() if self._recipe.balance else self._train)
        if self._recipe.shuffle:
            shown = shown[torch.randperm(len(shown), generator=self._order)]
        return shown.to(self._inputs.device)

    def batches(self, rows: Tensor) -> Iterator[tuple[tuple[Tensor, ...], Tensor, Mixed | None]]:
        """Yield the batches of an epoch.

        Yields
        ------
        The features, the row numbers, and what is mixed in: other row numbers and the share left to the first; None for
        none.
        """
        for part in _parts(rows, self._recipe.batch_size):
            features = self._inputs.training_batch(part, self._rng)
            if not self._recipe.mixup:
                yield features, part, None
                continue
            share = float(self._rng.beta(self._recipe.mixup, self._recipe.mixup))
            other = torch.from_numpy(self._rng.permutation(len(part))).to(part.device)
            yield tuple(share * x + (1 - share) * x[other] for x in features), part, (part[other], share)

    def state(self) -> dict[str, Any]:
        """Return where the draws of rows and changes are in their course."""
        return {"order": self._order.get_state(), "draws": json.dumps(self._rng.bit_generator.state)}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on with the draws that ``state`` tells."""
        self._order.set_state(state["order"])
        self._rng.bit_generator.state = json.loads(state["draws"])

    def _balanced(self) -> np.ndarray:
        counts = np.bincount(self._own)
        parts = [self._train]
        for label in np.flatnonzero(counts):
            parts.append(self._rng.choice(self._train[self._own == label], counts.max() - counts[label]))
        return np.concatenate(parts)


def _parts(rows: Tensor, size: int) -> list[Tensor]:
    """Return the rows in parts of ``size``, the last one smaller; a single row that is left over joins the last part.

    Batch normalisation has nothing to divide one sample by, and torch refuses it where a map is one pixel.
    """
    parts = list(rows.split(size))
    if size > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _rarest(labels: np.ndarray) -> np.ndarray:
    """Return the class of each row of 0 and 1 that the fewest rows show, n_classes for a row that shows none."""
    shown = np.where(labels > 0, labels.sum(axis=0), len(labels) + 1)
    return np.where((labels > 0).any(axis=1), shown.argmin(axis=1), labels.shape[1])


class Schedule:
    """The learning rate from epoch to epoch."""

    def __init__(self, recipe: TrainingRecipe, optimizer: torch.optim.Optimizer) -> None:
        self._plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._other: Any = None
        self._hold = recipe.lr_hold
        rates = torch.optim.lr_scheduler
        if recipe.lr_schedule == "plateau":
            self._plateau = rates.ReduceLROnPlateau(
                optimizer, factor=recipe.lr_gamma, patience=recipe.lr_step, min_lr=recipe.lr_min
            )
        elif recipe.lr_schedule == "cosine":
            first = recipe.lr_step or max(1, recipe.epochs - recipe.lr_hold)
            self._other = rates.CosineAnnealingWarmRestarts(optimizer, first, recipe.lr_stretch, recipe.lr_min)
        elif recipe.lr_step:
            self._other = rates.StepLR(optimizer, recipe.lr_step, recipe.lr_gamma)

    def state(self) -> dict[str, Any]:
        """Return what the learning rates to come depend on."""
        rates = self._plateau or self._other
        return {"hold": self._hold, "rates": rates.state_dict() if rates else {}}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on with what ``state`` tells."""
        self._hold = state["hold"]
        if rates := self._plateau or self._other:
            rates.load_state_dict(state["rates"])

    def step(self, loss: float) -> None:
        """End an epoch.

        Parameters
        ----------
        loss : the epoch's mean training loss.
        """
        if self._hold:
            self._hold -= 1
        elif self._plateau:
            self._plateau.step(loss)
        elif self._other:
            self._other.step()
