"""What the axes of features mean: it is part of a study's key, it fits the model, and it is the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import hand_fold, plan_of, run_here
from torch import nn

from bench.engine.inputs import make_inputs
from bench.plan.plan import Plan
from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS, register_model
from preprocess.base.errors import UsageError
from preprocess.base.hashing import digest
from preprocess.datasets import RawDataset, RawFeature
from preprocess.samples.layout import Content
from preprocess.shards.prepare import prepare
from preprocess.shards.prepared import PreparedDataset
from results.store.outcome_store import OutcomeStore

OWN = "clips_of_its_own"
SHAPE = (4, 2, 6, 6)

Bring = Callable[..., PreparedDataset]


class OfClips(nn.Module):
    """A linear layer on clips. Input : (n, 4, 2, 6, 6) float32. Output : logits (n, n_classes)."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(int(np.prod(SHAPE)), n_classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.classifier(clips.flatten(1))


@pytest.fixture
def model(registries: None) -> str:
    """Return the name of a network whose feature no recipe makes; it standardises."""
    recipe = TrainingRecipe(epochs=1, batch_size=8, lr=1e-3, input_range="standard")
    register_model("of_clips", features=(OWN,), paper="Written for the tests.", recipe=recipe)(OfClips)
    return "of_clips"


@pytest.fixture
def bring(synthetic: list[PreparedDataset], tmp_path: Path) -> Bring:
    """Return what brings a ready-made feature for a drawn dataset, as an adapter of one's own may."""

    def brought(
        axes: str = "tchw", number: int = 0, name: str = OWN, content: Content | None = None
    ) -> PreparedDataset:
        dataset, more = synthetic[number], {} if content is None else {"content": content}

        def compute(sample_id: str) -> np.ndarray:
            scale = np.float32([1, 20]).reshape(1, 2, 1, 1)
            return np.random.default_rng(list(sample_id.encode())).normal(size=SHAPE).astype(np.float32) * scale

        feature = RawFeature({"name": name, "source": "a test"}, SHAPE, "float32", digest, compute, axes, **more)
        raw = RawDataset(dataset.name, dataset.samples, synthetic=True, features={name: feature})
        return prepare(raw, tmp_path / "shards", [name])

    return brought


def planned(dataset: PreparedDataset, model: str, store: OutcomeStore | None = None, **settings: str) -> Plan:
    return plan_of([dataset], store, models=[model], set={f"{model}.{key}": value for key, value in settings.items()})


@pytest.mark.slow
def test_other_axes_are_another_study_and_the_same_shards(bring: Bring, model: str, store: OutcomeStore) -> None:
    first = bring("tchw")
    assert first.made
    plan = planned(first, model, store)
    assert run_here(plan, store)[1] == 0
    again = bring("tchw")
    assert planned(again, model, store).cards[0].key == plan.cards[0].key
    for changed in (bring("cthw"), bring(content=Content(whole=True)), bring(content=Content())):
        assert (changed.made, changed.features[OWN].recipe_hash) == (0, first.features[OWN].recipe_hash)
        (study,) = planned(changed, model, store).studies
        assert study.card.key != plan.cards[0].key
        assert study.reason == "differs from the stored one in layouts"


def test_a_feature_that_no_recipe_knows_is_scaled_along_its_own_channels(bring: Bring, model: str) -> None:
    """Not along its times, which stand where the channels of a picture stand."""
    for axes, other in (("tchw", (0, 1, 3, 4)), ("cthw", (0, 2, 3, 4))):
        data = next(iter(planned(bring(axes), model).data.values())).read()
        fold = hand_fold(data, list(range(20)), [], [20])
        info = MODELS.get(model)
        recipe = info.recipe
        assert recipe
        made = make_inputs(info, nn.Identity(), recipe, data, fold.train, "cpu")
        (batch,) = made.batch(torch.from_numpy(fold.train))
        assert batch.mean(dim=other).abs().max() < 1e-5
        assert (batch.std(dim=other) - 1).abs().max() < 1e-4


def test_only_what_says_what_it_shows_is_augmented(bring: Bring, model: str, store: OutcomeStore) -> None:
    with pytest.raises(UsageError) as error:
        planned(bring(), model, augment="flip")
    assert str(error.value) == (
        f"Model {model}: Feature {OWN} cannot be augmented: its dataset does not say what it shows; declare it: "
        "RawFeature(content=...)."
    )
    with pytest.raises(UsageError, match=f"Model {model}: Augmentation flip cannot change feature {OWN}: it is odd."):
        planned(bring(content=Content(no_mirror="it is odd")), model, augment="flip")
    plan = planned(bring(content=Content(whole=True)), model, store, augment="flip,rotate")
    assert run_here(plan, store)[1] == 0


def test_the_difference_from_the_first_frame_needs_a_time(bring: Bring, model: str) -> None:
    assert planned(bring("tchw"), model, input_range="difference").cards
    with pytest.raises(UsageError, match=f"Model {model}: input_range difference finds no time in {OWN}"):
        planned(bring("lchw"), model, input_range="difference")


def test_imagenets_mean_and_deviations_are_those_of_three_channels(bring: Bring, model: str) -> None:
    with pytest.raises(UsageError, match=f"Model {model}: input_range imagenet needs three channels, .* {OWN}: 2"):
        planned(bring("tchw"), model, input_range="imagenet")


def test_datasets_that_lay_a_feature_out_differently_are_not_merged(bring: Bring, model: str) -> None:
    plan = plan_of([bring("tchw"), bring("cthw", number=1)], models=[model], protocols=["loso", "cde"])
    assert [card.protocol for card in plan.cards] == ["loso", "loso"]
    (note,) = (note for note in plan.notes if "cde" in note)
    assert f"{OWN} has the axes tchw in synth_a and cthw in synth_b" in note


def test_a_feature_that_a_dataset_brings_has_the_axes_of_the_recipe_of_its_name(bring: Bring) -> None:
    assert bring("tchw", name="frames_9_128").features["frames_9_128"].layout.axes == "tchw"
    with pytest.raises(
        UsageError, match=r"synth_a brings the feature frames_9_128 with the axes 'cthw'; .* 'tchw', as"
    ):
        bring("cthw", name="frames_9_128")


def test_axes_that_a_dataset_cannot_mean_are_told_by_dataset_and_feature(bring: Bring) -> None:
    with pytest.raises(UsageError, match=f"Dataset synth_a, feature {OWN}: axes is 'chw': that is 3 for the 4 axes"):
        bring("chw")


@pytest.mark.slow
def test_the_engine_asks_nobody_for_recipes() -> None:
    """Layouts come with the data, so that it needs neither recipe files nor what reads them."""
    code = (
        "import sys, bench.engine.train\n"
        "print(sorted({'preprocess.recipes', 'preprocess.steps', 'yaml', 'pandas', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
