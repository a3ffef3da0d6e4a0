"""``merbench list``: everything registered, by kind."""

from __future__ import annotations

from typing import Any

import pytest
from local_runs import LocalRuns
from throwaway_models import TinyNet, register_network

from bench.commands.listing import listing
from bench.commands.model_listing import long_listing
from bench.engine.augmentation import AUGMENTATIONS
from bench.engine.selection import SELECTIONS
from bench.plan.sizes import network_size
from bench.study.protocols import PROTOCOLS
from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS, register_model
from preprocess.base.errors import UsageError
from preprocess.base.registry import Registry
from preprocess.datasets import DATASETS
from preprocess.labels.tasks import TASKS
from preprocess.recipes import FEATURES
from preprocess.steps import STEPS
from results.scores.metrics import METRICS
from results.scores.multilabel import LABEL_METRICS

KINDS: dict[str, list[Registry]] = {
    "models": [MODELS],
    "datasets": [DATASETS],
    "features": [FEATURES],
    "steps": [STEPS],
    "tasks": [TASKS],
    "protocols": [PROTOCOLS],
    "selections": [SELECTIONS],
    "metrics": [METRICS, LABEL_METRICS],
    "augmentations": [AUGMENTATIONS],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_for_each_registered_name_with_words_about_it(kind: str) -> None:
    lines = listing(kind).splitlines()[2:]
    assert [line.split()[0] for line in lines] == [name for registry in KINDS[kind] for name in registry.names()]
    assert all(len(line.split()) > 2 for line in lines)


def test_what_other_packages_register_is_listed(registries: None) -> None:
    register_network(name="my_network", lr=0.25, epochs=7)
    (line,) = (line for line in listing("models").splitlines() if line.startswith("my_network"))
    for fact in ("flow_uvs_28", "adam 0.25, 7 epochs, batch 8, unit", "dropout=0.5", "Written for the tests"):
        assert fact in line


def test_models_are_listed_without_a_kind(merbench: LocalRuns) -> None:
    assert merbench("list").out == merbench("list", "models").out


def test_an_unknown_kind_names_near_ones(merbench: LocalRuns) -> None:
    with pytest.raises(UsageError, match=r"Unknown kind 'modles'. Did you mean: models"):
        listing("modles")
    said = merbench("list", "protocol")
    assert said.status == 2
    assert said.err == "error: Unknown kind 'protocol'. Did you mean: protocols?\n"


def test_everything_of_a_model(merbench: LocalRuns) -> None:
    out = merbench("list", "models", "ststnet,flow_svm").out
    lines = [line.split() for line in out.splitlines()]
    assert ["ststnet"] in lines
    assert ["inputs", "flow_uvs_28", "(uint8", "3x28x28)"] in lines
    assert ["parameters", "1,683", "with", "3", "classes"] in lines
    assert "recipe      epochs=800, batch_size=256, lr=5e-05, optimizer=adam, input_range=raw\n" in out
    assert "settings    dropout=0.5" in out
    score = MODELS.get("ststnet").published[0]
    words = " ".join(out.split())
    assert f"{score.benchmark}: UF1 {score.uf1:.4f}, UAR {score.uar:.4f}; selection {score.selection}" in words
    assert " ".join(score.reference.split()) in words
    estimator = out[out.index("flow_svm\n") :]
    assert "parameters" not in estimator
    assert "settings    C=" in estimator


def test_what_a_network_costs(registries: None) -> None:
    """Its one layer, 48 x 3, is a product of 144 multiplications and additions."""
    register_network(name="my_network", lr_step=4)
    size = network_size(MODELS.get("my_network"), {}, 3)
    assert size.parameters == 6 + 48 * 3 + 3
    assert size.gflops == pytest.approx(2 * 48 * 3 / 1e9)
    assert "lr_step=4" in "".join(long_listing(["my_network"]))


class LookingNet(TinyNet):
    """Asks for a value of its input, and of its weights."""

    def forward(self, *inputs: Any) -> Any:
        logits = super().forward(*inputs)
        return logits * 2 if logits.max().item() > 100 else logits


def test_what_a_network_costs_that_looks_at_values(registries: None) -> None:
    facts: Any = {"paper": "none", "recipe": TrainingRecipe(epochs=1, batch_size=1, lr=1.0)}
    for name, network in (("tiny_one", TinyNet), ("looking", LookingNet)):
        register_model(name, features=("flow_uvs_28",), **facts)(network)
    tiny, looking = (network_size(MODELS.get(name), {}, 3) for name in ("tiny_one", "looking"))
    assert looking == tiny
    assert tiny.gflops


def test_what_a_network_costs_takes_no_memory_for_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.nn.Module.train", seen := Devices())
    assert network_size(MODELS.get("htnet"), {}, 3, flops=False).parameters == 118_697_475
    assert seen.devices == {"meta"}


class Devices:
    """Takes the place of ``Module.train`` and notes where the weights lie."""

    def __init__(self) -> None:
        self.devices: set[str] = set()

    def __get__(self, network: Any, kind: type) -> Any:
        self.devices |= {weights.device.type for weights in network.parameters()}
        return lambda mode=True: network


class EstimatingNet(TinyNet):
    """Has a loss that takes a target."""

    def loss(self, flow: Any, landmarks: Any, labels: Any, criterion: Any) -> Any:
        return criterion(self(flow), labels) + landmarks.mean() * self(flow).mean()


def test_targets_of_a_network_are_told_apart_from_its_inputs(registries: None) -> None:
    facts: Any = {"paper": "none", "recipe": TrainingRecipe(epochs=1, batch_size=1, lr=1.0)}
    features = ("flow_uvs_28", "landmarks_28")
    register_model("estimating", features=features, targets=features[1:], **facts)(EstimatingNet)
    lines = [line.split() for line in "\n".join(long_listing(["estimating"])).splitlines()]
    assert ["inputs", "flow_uvs_28", "(uint8", "3x28x28)"] in lines
    assert ["targets", "landmarks_28", "(float32", "68x2)"] in lines


def test_only_models_have_more_to_tell(merbench: LocalRuns) -> None:
    found = merbench("list", "tasks", "--long")
    assert found.status == 2
    assert "list tasks takes neither names nor --long" in found.err


def test_published_weights_of_a_model_are_told_with_how_they_are_read() -> None:
    text = " ".join(" ".join(long_listing(["off_tanet"], 200)).split())
    assert "weights ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet@b6149babd1b1, LOSO1_60epoch.pth, for" in text
    assert "channels rgb, as_published=True" in text
