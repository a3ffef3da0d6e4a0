"""Checks before a run: a network that cannot take its features is told before anything is trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from local_runs import LocalRuns
from small_runs import config, plan_of, run_here
from torch import nn

from bench.plan.checks import check_inputs
from bench.plan.request import resolve
from mer_models._parts.pretrained import NoWeights
from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS, register_model
from preprocess.base.errors import UsageError
from preprocess.base.hashing import digest
from preprocess.datasets import RawDataset, RawFeature
from preprocess.shards.prepare import prepare
from preprocess.shards.prepared import PreparedDataset
from results.store.outcome_store import OutcomeStore

FRAMES = "frames_9_128"
GET_MODEL = "torchvision.models.get_model"


class Sequence(nn.Module):
    """A convolution over time, which takes as many frames as its kernel is long or more."""

    built = 0

    def __init__(self, n_classes: int, kernel: int = 3) -> None:
        super().__init__()
        type(self).built += 1
        self.time = nn.Conv1d(1, 4, kernel)
        self.classifier = nn.Linear(4, n_classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.time(frames.mean(dim=(2, 3, 4))[:, None]).mean(dim=2))


@pytest.fixture
def sequence(registries: None) -> str:
    """Return the name of a network that convolves frames over time."""
    Sequence.built = 0
    recipe = TrainingRecipe(epochs=1, batch_size=8, lr=1e-3, input_range="unit")
    register_model("sequence", features=(FRAMES,), paper="Written for the tests.", recipe=recipe)(Sequence)
    return "sequence"


def with_frames(dataset: PreparedDataset, frames: int, shards: Path) -> PreparedDataset:
    """Return the dataset with ready-made sequences of ``frames`` small frames, as an adapter of one's own may."""
    shape = (frames, 1, 8, 8)

    def compute(sample_id: str) -> np.ndarray:
        return np.random.default_rng(list(sample_id.encode())).integers(0, 256, shape, dtype=np.uint8)

    feature = RawFeature({"name": FRAMES, "source": "a test"}, shape, "uint8", digest, compute, "tchw")
    raw = RawDataset(dataset.name, dataset.samples, synthetic=True, features={FRAMES: feature})
    return prepare(raw, shards, [FRAMES])


def test_a_sequence_that_is_too_short_is_told_with_its_length_and_the_needed_one(
    sequence: str, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        plan_of([with_frames(synthetic[0], 2, tmp_path)], models=[sequence])
    told = str(caught.value)
    assert told.startswith(
        "Model sequence cannot take frames_9_128 of shape (2, 1, 8, 8) (it is made for (9, 1, 128, 128)): RuntimeError:"
    )
    assert "--datasets" in told


@pytest.mark.parametrize("model", ["cnn3d", "convlstm"])
def test_a_network_of_the_registry_tells_it_too(model: str) -> None:
    """These look at nine frames; torch would speak of matrices."""
    info = MODELS.get(model)
    with pytest.raises(UsageError, match=rf"Model {model} with image_size=32 cannot take {FRAMES} of shape \(3, 1"):
        check_inputs(info, {**info.params, "image_size": 32}, 3, {FRAMES: (3, 1, 32, 32)})


@pytest.mark.slow
def test_sequences_that_are_long_enough_are_trained_on(
    sequence: str, synthetic: list[PreparedDataset], store: OutcomeStore, tmp_path: Path
) -> None:
    plan = plan_of([with_frames(synthetic[0], 3, tmp_path)], store, models=[sequence], seeds=[0, 1])
    assert Sequence.built == 1, "one look is enough for all studies of the same shapes"
    assert run_here(plan, store) == (10, 0)


def test_a_setting_that_asks_for_a_longer_sequence_is_told_before_data_is_read(
    sequence: str, merbench: LocalRuns, tmp_path: Path
) -> None:
    results = tmp_path / "runs"
    arguments = ["--data", str(tmp_path / "absent"), "--results", str(results), "--models", "sequence,majority"]
    said = merbench("run", *arguments, "--set", "sequence.kernel=11")
    assert said.status == 2
    assert said.err.startswith(
        "error: Model sequence with kernel=11 cannot take frames_9_128 of shape (9, 1, 128, 128): RuntimeError:"
    )
    assert not results.exists()


def test_defaults_cost_nothing(sequence: str) -> None:
    """They are tested with the registry, and so are a model's own quick values."""
    resolve(config(models=[sequence]))
    MODELS.add(sequence, dataclasses.replace(MODELS.get(sequence), quick={"kernel": 5}), origin=f"{__name__}.Sequence")
    resolve(config(models=[sequence], preset="quick"))
    assert Sequence.built == 0
    resolve(config(models=[sequence], tasks=["megc3", "emotion5"], set={"sequence.kernel": 7}))
    assert Sequence.built > 0


def test_a_composite_of_other_lengths_is_left_out(
    sequence: str, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    both = [with_frames(dataset, frames, tmp_path) for dataset, frames in zip(synthetic, (3, 4), strict=True)]
    plan = plan_of(both, models=[sequence], protocols=["loso", "cde"])
    assert [card.protocol for card in plan.cards] == ["loso", "loso"]
    assert plan.notes == [
        "Protocol cde left out for synth_a+synth_b, task megc3: frames_9_128 is (3, 1, 8, 8) in synth_a, (4, 1, 8, 8) "
        "in synth_b. Make it by one recipe everywhere, or use --protocols loso."
    ]


def test_the_seed_of_the_caller_is_left_alone(sequence: str) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    info = MODELS.get(sequence)
    check_inputs(info, info.params, 3, {FRAMES: (9, 1, 8, 8)})
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(("model", "library"), [("timm/resnet18", "timm.create_model"), ("samer", GET_MODEL)])
def test_pretrained_weights_out_of_reach_are_told_once_before_data_is_read(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, library: str
) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(library, unreachable)
    results = tmp_path / "runs"
    arguments = ["--data", str(tmp_path / "absent"), "--results", str(results), "--models", f"{model},majority"]
    said = merbench("run", *arguments, "--preset", "full", "--set", f"{model}.pretrained=default")
    assert said.status == 2
    assert said.err.startswith(f"error: {model}.pretrained is 'default', but these weights cannot be had from ")
    assert "OSError: Name or service not known" in said.err
    assert f"--set {model}.pretrained=none" in said.err
    assert "Traceback" not in said.err
    assert not results.exists()


class Taught(Sequence):
    """As ``Sequence``, with weights to start from."""

    def __init__(self, n_classes: int, pretrained: str = "none") -> None:
        super().__init__(n_classes)


@pytest.mark.parametrize(("pretrained", "noted"), [("none", []), ("default", ["synth_a"])])
def test_weights_that_have_seen_the_people_are_noted_beside_the_scores(
    registries: None, synthetic: list[PreparedDataset], tmp_path: Path, pretrained: str, noted: list[str]
) -> None:
    recipe = TrainingRecipe(epochs=1, batch_size=8, lr=1e-3, input_range="unit")
    facts: dict[str, Any] = {"features": (FRAMES,), "paper": "Written for the tests.", "recipe": recipe}
    register_model("taught", **facts, seen_before=("synth_a", "elsewhere"))(Taught)
    both = [with_frames(dataset, 3, tmp_path) for dataset in synthetic]
    plan = plan_of(both, models=["taught"], protocols=["loso", "cde"], set={"taught.pretrained": pretrained})
    expected = [
        f"{name}: the weights that taught starts from were trained on its clips, without labels, so they have seen the "
        "people whom a fold holds out"
        for name in noted
    ]
    assert plan.notes == [f"{note}." for note in expected]
    assert {card.dataset: card.notes for card in plan.cards} == {
        "synth_a": expected,
        "synth_b": [],
        "synth_a+synth_b": expected,
    }


class OutOfReach(Sequence):
    """As ``Sequence``, with weights that nobody has."""

    def __init__(self, n_classes: int, pretrained: str = "default") -> None:
        if pretrained != "none":
            raise NoWeights(f"out_of_reach.pretrained is {pretrained!r}, but nobody has these weights.")
        super().__init__(n_classes)


def test_a_model_without_its_weights_is_left_out_with_a_note_unless_it_is_named(
    registries: None, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    recipe = TrainingRecipe(epochs=1, batch_size=8, lr=1e-3, input_range="unit")
    facts: dict[str, Any] = {"features": (FRAMES,), "paper": "Written for the tests.", "recipe": recipe}
    register_model("out_of_reach", **facts)(OutOfReach)
    data = [with_frames(synthetic[0], 3, tmp_path)]
    told = "out_of_reach.pretrained is 'default', but nobody has these weights."
    plan = plan_of(data, models=["majority", "out_of*"])
    assert plan.notes == [f"Model out_of_reach left out: {told}"]
    assert {card.model for card in plan.cards} == {"majority"}
    for alone in (["majority", "out_of_reach"], ["majority", "out_of*", "out_of_reach"], ["out_of*"]):
        with pytest.raises(UsageError, match=f"^{told}"):
            plan_of(data, models=alone)
    plan = plan_of(data, models=["out_of*"], set={"out_of_reach.pretrained": "none"})
    assert plan.notes == []
