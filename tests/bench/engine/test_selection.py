"""Selection: what each rule looks at, what it maximises, and which epoch stays on a tie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from small_runs import hand_fold, study_data
from torch import nn

from bench.engine.fit import Kept, evaluate, train_network
from bench.engine.inputs import DeviceFeature, Inputs
from bench.engine.selection import SELECTIONS
from mer_models.contracts import TrainingRecipe
from preprocess.base.errors import UsageError

DATA = study_data(subjects=3, clips=3)
FOLD = hand_fold(DATA, [0, 1, 2], [3, 4, 5], [6, 7, 8])  # labels 0, 1, 2 in each


class Replay(nn.Module):
    """Predicts, after epoch e, the e-th list of classes for the rows it is asked about; its weight counts epochs."""

    def __init__(self, by_epoch: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.epoch = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.by_epoch = by_epoch

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.epoch.add_(1)
            return torch.eye(3)[: len(rows)] + self.weight
        predicted = torch.tensor(self.by_epoch[int(self.epoch) - 1])
        return nn.functional.one_hot(predicted, 3).float()


def kept(by_epoch: list[list[int]], *names: str) -> dict[str, Kept]:
    """Train a Replay of one batch an epoch and return what each selection keeps."""
    recipe = TrainingRecipe(epochs=len(by_epoch), batch_size=3, lr=1.0, optimizer="sgd")
    nothing = DeviceFeature(torch.zeros(len(DATA), 1), lambda rows: rows)
    inputs = Inputs((nothing,), (lambda rows: rows,), shown=1, evaluation_batch=512)
    rules = [SELECTIONS.get(name) for name in names]
    return train_network(Replay(by_epoch), recipe, inputs, DATA, FOLD, rules)


def test_last_takes_the_last_epoch_and_watches_nothing() -> None:
    last = kept([[0, 1, 2], [0, 0, 0], [1, 1, 1]], "last")["last"]
    assert last.epoch == 3
    assert last.state["epoch"].item() == 3
    assert list(last.curves) == ["train_loss"]
    assert len(last.curves["train_loss"]) == 3


@pytest.mark.parametrize("name", ["oracle", "validation"])
def test_the_best_epoch_is_kept_with_its_weights(name: str) -> None:
    best = kept([[0, 0, 0], [0, 1, 2], [0, 1, 0]], name)[name]
    assert best.epoch == 2
    assert best.state["epoch"].item() == 2


@pytest.mark.parametrize("name", ["oracle", "validation"])
def test_on_a_tie_the_earlier_epoch_stays(name: str) -> None:
    assert kept([[1, 0, 0], [0, 1, 0], [0, 1, 1], [0, 1, 0]], name)[name].epoch == 2


def test_oracle_maximises_accuracy_on_the_test_subject() -> None:
    oracle = kept([[0, 0, 0], [0, 1, 0]], "oracle")["oracle"]
    assert oracle.curves["oracle_accuracy"] == pytest.approx([1 / 3, 2 / 3])


def test_validation_maximises_pooled_uf1_with_absent_classes_as_zero() -> None:
    validation = kept([[0, 0, 0], [0, 1, 0]], "validation")["validation"]
    assert validation.curves["validation_uf1"] == pytest.approx([0.5 / 3, (2 / 3 + 1 + 0) / 3])


def test_accuracy_and_uf1_pick_different_epochs() -> None:
    """Ten samples, nine of one class: always predicting it has the accuracy, not the UF1."""
    labels = np.array([0] * 9 + [1])
    always = np.eye(2)[[0] * 10]
    careful = np.eye(2)[[0] * 7 + [1] * 3]
    oracle, validation = SELECTIONS.get("oracle"), SELECTIONS.get("validation")
    assert oracle.value(labels, always) > oracle.value(labels, careful)
    assert validation.value(labels, always) < validation.value(labels, careful)


def test_each_rule_sees_its_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []

    def spy(model: nn.Module, inputs: Inputs, rows: np.ndarray) -> np.ndarray:
        seen.append(rows.tolist())
        return evaluate(model, inputs, rows)

    monkeypatch.setattr("bench.engine.fit.evaluate", spy)
    for name, rows in (("last", []), ("validation", [FOLD.validation.tolist()]), ("oracle", [FOLD.test.tolist()])):
        seen.clear()
        kept([[0, 1, 2]], name)
        assert seen == rows


def test_every_rule_says_what_it_scores() -> None:
    assert SELECTIONS.names() == ["last", "oracle", "tuned", "validation"]
    assert all(rule.summary for _, rule in SELECTIONS.items())
    assert "TEST subject" in SELECTIONS.get("oracle").summary


def test_an_unknown_selection_names_near_ones() -> None:
    with pytest.raises(UsageError, match=r"Unknown selection 'orcale'. Did you mean: oracle\?"):
        SELECTIONS.select(["orcale"])
