"""The engine: a fold's result depends on its own rows, seed and recipe, and is what plain torch would give."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import FEATURE, assert_equal_results, folds_of, hand_fold, repainted, resolved, study_data, trained
from throwaway_models import ExplodingNet, TinyNet, register_network, register_scripted
from torch import nn

from bench.engine.inputs import make_inputs
from bench.engine.train import FoldJob, FoldResult, score_again, train_pack
from bench.study.data import StudyData
from bench.study.folds import Fold
from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS
from preprocess.base.errors import HonestyError

DATA = study_data(subjects=4)
FOLDS = folds_of(DATA)
VALIDATED = folds_of(DATA, validate=True)
ALL = ("last", "validation", "oracle")


@pytest.fixture(autouse=True)
def caller_is_left_alone() -> Iterator[None]:
    """Whatever a test does with the engine, the caller's torch is as it was."""
    torch.manual_seed(11)
    before = torch.get_rng_state()
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    guard: Any = torch.utils.deterministic
    filling = guard.fill_uninitialized_memory
    yield
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert torch.are_deterministic_algorithms_enabled() == strict
    assert guard.fill_uninitialized_memory == filling


@pytest.fixture(params=["tiny", "flow_svm", "majority", "ststnet"])
def model(request: pytest.FixtureRequest, tiny: str) -> str:
    return request.param


def quick(model: str) -> dict[str, Any]:
    return {"epochs": 3} if MODELS.get(model).kind == "network" else {}


@pytest.mark.slow
def test_a_fold_alone_in_a_pack_and_in_any_order_is_the_same(model: str) -> None:
    together = trained(model, DATA, FOLDS, **quick(model))
    backwards = trained(model, DATA, FOLDS[::-1], **quick(model))
    for fold in FOLDS:
        alone = trained(model, DATA, [fold], **quick(model))[fold.name, "last"]
        assert_equal_results(together[fold.name, "last"], alone)
        assert_equal_results(backwards[fold.name, "last"], alone)


def test_nothing_the_caller_did_before_counts(model: str) -> None:
    first = trained(model, DATA, FOLDS[:1], **quick(model))[FOLDS[0].name, "last"]
    before = torch.get_rng_state(), torch.get_num_threads()
    try:
        torch.manual_seed(987)
        torch.set_num_threads(2)
        np.random.seed(987)  # noqa: NPY002
        again = trained(model, DATA, FOLDS[:1], **quick(model))[FOLDS[0].name, "last"]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_rng_state(before[0])
        torch.set_num_threads(before[1])
    assert_equal_results(first, again)


@pytest.mark.parametrize("selection", ALL)
def test_a_selection_read_from_a_shared_training_equals_the_one_alone(model: str, selection: str) -> None:
    fold = VALIDATED[1]
    shared = trained(model, DATA, [fold], ALL, **quick(model))
    alone = trained(model, DATA, [fold], (selection,), **quick(model))
    assert_equal_results(shared[fold.name, selection], alone[fold.name, selection])


def test_another_seed_is_another_training(tiny: str) -> None:
    first, other = (trained(tiny, DATA, folds_of(DATA, seed=seed)[:1]) for seed in (0, 1))
    name = (FOLDS[0].name, "last")
    assert first[name].scores.tobytes() != other[name].scores.tobytes()


def test_scores_are_float32_logits_of_the_test_rows(model: str) -> None:
    result = trained(model, DATA, FOLDS[2:3], **quick(model))[FOLDS[2].name, "last"]
    assert result.scores.shape == (len(FOLDS[2].test), len(DATA.classes))
    assert result.scores.dtype == np.float32
    assert result.seconds > 0
    assert result.selected_epoch == (3 if MODELS.get(model).kind == "network" else 0)


def test_an_estimator_gives_every_selection_the_same_fit() -> None:
    results = trained("flow_svm", DATA, VALIDATED[:1], ALL)
    first, *others = results.values()
    for other in others:
        assert_equal_results(first, other)


def test_an_estimator_is_fitted_on_the_training_rows_with_the_folds_own_generator(registries: None) -> None:
    seen = []
    register_scripted(lambda x, y: seen.append((x.copy(), y.copy())))
    fold = VALIDATED[0]
    first = trained("scripted", DATA, [fold])[fold.name, "last"]
    (x, y), *_ = seen
    assert x.dtype == np.float32
    assert np.array_equal(x, DATA.features[FEATURE][fold.train].astype(np.float32))
    assert np.array_equal(y, DATA.labels[fold.train])
    assert_equal_results(first, trained("scripted", DATA, [fold])[fold.name, "last"])
    other = trained("scripted", DATA, VALIDATED[1:2])[VALIDATED[1].name, "last"]
    assert not np.array_equal(first.weights["draws"], other.weights["draws"])


def test_stored_weights_give_the_same_scores_again(model: str) -> None:
    for fold in FOLDS[:2]:
        result = trained(model, DATA, [fold], **quick(model))[fold.name, "last"]
        values = resolved(model, **quick(model))
        again = score_again(MODELS.get(model), values, DATA, fold, result.weights)
        assert again.tobytes() == result.scores.tobytes()


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "adam", "weight_decay": 1e-2},
        {"optimizer": "adamw", "weight_decay": 1e-1},
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-2},
        {"optimizer": "sgd", "lr_step": 2, "lr_gamma": 0.1},
        {"optimizer": "adam", "class_weights": True, "shuffle": False},
        {"optimizer": "adam", "input_range": "standard", "epochs": 2},
        {"optimizer": "adam", "input_range": "raw", "batch_size": 256},
    ],
    ids=lambda recipe: " ".join(f"{key}={value}" for key, value in recipe.items()),
)
def test_a_training_equals_the_plain_torch_loop(registries: None, recipe: dict[str, Any]) -> None:
    register_network(epochs=5, lr=3e-2, batch_size=7)
    data, fold = uneven(), hand_fold(uneven(), list(range(6, 17)), [], list(range(6)))
    result = trained("tiny", data, [fold], **recipe)["made", "last"]
    values = {**resolved("tiny"), **recipe}
    with torch.random.fork_rng():
        network, losses = plain_loop(data, fold, values)
    for name, weight in network.state_dict().items():
        np.testing.assert_allclose(result.weights[name], weight.numpy(), rtol=1e-3, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(result.curves["train_loss"], losses, rtol=1e-4)


def uneven() -> StudyData:
    """17 samples whose training rows hold the classes 2, 3 and 6 times."""
    data = study_data(subjects=3)
    data.labels[6:17] = [0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    return data


def plain_loop(data: StudyData, fold: Fold, values: dict[str, Any]) -> tuple[nn.Module, list[float]]:
    """What a researcher would write for one fold."""
    torch.manual_seed(fold.seed)
    network = TinyNet(3)
    x = torch.from_numpy(data.features[FEATURE].astype(np.float32))[fold.train]
    y = torch.from_numpy(data.labels)[fold.train]
    if values["input_range"] == "unit":
        x = x / 255
    elif values["input_range"] == "standard":
        x = (x - x.mean(dim=(0, 2, 3), keepdim=True)) / x.std(dim=(0, 2, 3), keepdim=True)
    weight = torch.tensor([11 / (3 * n) for n in (2, 3, 6)]) if values["class_weights"] else None
    decay = {"lr": values["lr"], "weight_decay": values["weight_decay"]}
    if values["optimizer"] == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(network.parameters(), momentum=values["momentum"], **decay)
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[values["optimizer"]]
        optimizer = kind(network.parameters(), **decay)
    shuffler = torch.Generator().manual_seed(fold.seed)
    losses = []
    network.train()
    for epoch in range(values["epochs"]):
        order = torch.randperm(len(x), generator=shuffler) if values["shuffle"] else torch.arange(len(x))
        total = 0.0
        for batch in order.split(values["batch_size"]):
            loss = nn.functional.cross_entropy(network(x[batch]), y[batch], weight=weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(x))
        if values["lr_step"] and (epoch + 1) % values["lr_step"] == 0:
            for group in optimizer.param_groups:
                group["lr"] *= values["lr_gamma"]
    return network, losses


def inputs_of(input_range: str, data: StudyData = DATA, train: np.ndarray = FOLDS[0].train) -> np.ndarray:
    recipe = TrainingRecipe(epochs=1, batch_size=1, lr=1.0, input_range=input_range)  # type: ignore[arg-type]
    (values,) = make_inputs(MODELS.get("ststnet"), torch.nn.Identity(), recipe, data, train, "cpu").batch(
        torch.arange(len(data))
    )
    assert values.dtype == torch.float32
    return values.numpy()


def test_raw_and_unit_inputs() -> None:
    stored = DATA.features[FEATURE].astype(np.float32)
    assert np.array_equal(inputs_of("raw"), stored)
    assert np.array_equal(inputs_of("unit"), stored / np.float32(255))


def test_standard_inputs_are_fitted_on_the_training_rows_alone() -> None:
    """A channel of the training rows has mean 0 and deviation 1; what the others hold moves nothing of theirs."""
    fold = VALIDATED[0]
    values = inputs_of("standard", train=fold.train)[fold.train]
    np.testing.assert_allclose(values.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(values.std(axis=(0, 2, 3)), 1, atol=1e-3)
    others = np.concatenate([fold.validation, fold.test])
    moved = inputs_of("standard", data=repainted(DATA, others), train=fold.train)
    assert np.array_equal(moved[fold.train], values)
    assert not np.array_equal(moved[others], inputs_of("standard", train=fold.train)[others])


def test_a_constant_channel_stays_finite_under_standard() -> None:
    data = study_data(subjects=2)
    data.features[FEATURE][:, 1] = 7
    values = inputs_of("standard", data=data, train=np.arange(6))
    assert np.isfinite(values).all()
    assert (values[:6, 1] == 0).all()


def run_all(model: str, folds: list[Fold], **changes: Any) -> tuple[list[str], dict[str, BaseException], list[str]]:
    """Train folds; return the names that gave a result, the errors by name, and the names in the order yielded."""
    results: list[str] = []
    errors: dict[str, BaseException] = {}

    def keep(job: FoldJob, selection: str, result: FoldResult) -> None:
        results.append(job.fold.name)

    def fail(job: FoldJob, error: BaseException) -> None:
        errors[job.fold.name] = error

    jobs = [FoldJob(fold, ("last",)) for fold in folds]
    packed = train_pack(MODELS.get(model), resolved(model, **changes), DATA, jobs, keep, fail)
    return results, errors, [job.fold.name for job in packed]


def test_a_loss_that_is_no_number_ends_the_fold_and_names_epoch_and_batch(registries: None) -> None:
    register_network(ExplodingNet, "exploding", batch_size=6)
    results, errors, finished = run_all("exploding", FOLDS[:2], explodes_at=5)
    assert results == []
    assert finished == [fold.name for fold in FOLDS[:2]]
    for error in errors.values():
        assert str(error).startswith("The loss of epoch 2, batch 2 of 3, is nan. Lower the learning rate")


def test_a_fold_that_raises_does_not_stop_the_others(registries: None) -> None:
    held_out = DATA.features[FEATURE][FOLDS[1].test[0]].astype(np.float32)

    def on_fit(x: np.ndarray, y: np.ndarray) -> None:
        if not (x == held_out).all(axis=(1, 2, 3)).any():
            raise ZeroDivisionError("a bug in the model")

    register_scripted(on_fit)
    results, errors, finished = run_all("scripted", FOLDS)
    assert list(errors) == [FOLDS[1].name]
    assert isinstance(errors[FOLDS[1].name], ZeroDivisionError)
    assert results == [fold.name for fold in FOLDS if fold is not FOLDS[1]]
    assert finished == [fold.name for fold in FOLDS]


def test_what_is_not_an_error_of_the_model_goes_through(registries: None) -> None:
    def stop(x: np.ndarray, y: np.ndarray) -> None:
        raise KeyboardInterrupt

    register_scripted(stop)
    with pytest.raises(KeyboardInterrupt):
        run_all("scripted", FOLDS)


def test_each_fold_is_told_before_the_next_begins(tiny: str) -> None:
    told: list[str] = []
    jobs = [FoldJob(fold, ("last", "oracle")) for fold in FOLDS]
    packed = train_pack(
        MODELS.get(tiny),
        resolved(tiny),
        DATA,
        jobs,
        lambda job, selection, result: told.append(f"{job.fold.name} {selection}"),
        lambda job, error: pytest.fail(str(error)),
    )
    first = next(packed)
    assert first is jobs[0]
    assert sorted(told) == [f"{FOLDS[0].name} last", f"{FOLDS[0].name} oracle"]


def test_one_leaking_fold_stops_the_pack_before_anything_is_trained(registries: None) -> None:
    fitted: list[int] = []
    register_scripted(lambda x, y: fitted.append(len(y)))
    leaky = hand_fold(DATA, [0, 6, 7], [], [1, 2], name="leaky")
    with pytest.raises(HonestyError, match="'one/p00' is in train and in test"):
        run_all("scripted", [*FOLDS[:2], leaky])
    assert fitted == []


@pytest.mark.slow
def test_a_strided_1x1_convolution_of_few_channels_trains() -> None:
    """In a process of its own, since it dies where oneDNN gets such a convolution channels last; on one thread, always.

    On two threads it lived through that in one of three runs.
    """
    program = """
from types import SimpleNamespace
import torch
from torch import nn
from bench.engine.stored import laid_out
from bench.engine.fit import build_network

torch.set_num_threads(1)

def build(n_classes):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 1, stride=2), nn.Conv2d(16, n_classes, 33), nn.Flatten())

network = build_network(SimpleNamespace(build=build), {}, 3, seed=0, device="cpu")
for _ in range(20):
    network(laid_out(torch.ones(32, 3, 68, 68), "cpu")).square().mean().backward()
print(network[1].weight.grad.isfinite().all().item())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
