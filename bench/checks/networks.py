"""What the training engine relies on of a network: shapes, seeds, gradients, and that it can learn."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import itertools
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from bench.checks.check import NotTried, expect
from bench.checks.drawn_features import as_stored, easy_samples, random_samples
from bench.engine.inputs import Inputs, make_inputs
from bench.engine.optimizer import SGD, Adam
from bench.engine.train import FoldJob, FoldResult, recipe_of, train_pack
from bench.plan.sizes import network_size
from bench.study.data import StudyData
from bench.study.folds import Fold
from mer_models.contracts import Criterion
from mer_models.registry import ModelInfo
from preprocess.labels.action_units import SHARED_UNITS
from preprocess.recipes import FEATURES

CLASSES = 3
BATCH = 5
"""Most samples in one batch of random features."""
EASY = 9
"""Easy samples: three people who show every class once."""
LARGE = 100_000_000
"""Parameters of a network that is not calculated at full size."""
STEPS = 200
"""Steps in which a network must know its easy samples by heart."""
LEARNING_RATE = 1e-3
ONE_VALUE = "Expected more than 1 value per channel when training"
"""How torch refuses to normalise what is one value."""
COUNTS = ((1, BATCH), (2, CLASSES, 7, 12))
"""Numbers of samples in a batch, and of classes, that are tried."""


class NetworkCase:
    """A network in its quick form, and features drawn for it; both are made once, for all checks.

    Attributes
    ----------
    info : the model.
    values : all its hyper-parameters, those of ``quick`` in the defaults' place.
    """

    def __init__(self, info: ModelInfo) -> None:
        self.info = info
        self.values: dict[str, Any] = {**info.hyperparameters(), **info.quick}

    def build(self, n_classes: int = CLASSES, seed: int = 0) -> nn.Module:
        """Return the network with weights drawn from ``seed``."""
        if (n_classes, seed) == (CLASSES, 0):
            return copy.deepcopy(self._first)
        return self.build_anew(n_classes, seed)

    def build_anew(self, n_classes: int = CLASSES, seed: int = 0) -> nn.Module:
        """Return what ``build`` does, never a copy."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.info.build(n_classes=n_classes, **self.info.quick_params)

    def batch(self, n: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Return random features of up to ``BATCH`` samples as the engine hands them to ``forward``."""
        rows = torch.arange(seed, seed + n) % BATCH
        return tuple(values.clone() for values in self._random.batch(rows))

    def loss(self, network: Any, n: int, labels: Tensor, criterion: Criterion = functional.cross_entropy) -> Tensor:
        """Return a network's own loss of n random samples, with the targets and action units that it takes.

        What it draws, such as what it hides, is the same every time.
        """
        told: dict[str, Any] = {}
        if "action_units" in inspect.signature(network.loss).parameters:
            told["action_units"] = torch.arange(n * len(SHARED_UNITS)).view(n, -1).remainder(2).float()
        features = self._random.training_batch(torch.arange(n) % BATCH, np.random.default_rng(0))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            loss: Tensor = network.loss(*features, labels=labels, criterion=criterion, **told)
        return loss

    def easy(self) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return features of easy samples as the engine hands them over, and their classes."""
        data = self.study
        return self._inputs(data).batch(torch.arange(len(data))), torch.from_numpy(data.labels)

    @functools.cached_property
    def study(self) -> StudyData:
        """Easy samples of people who show every class once."""
        labels = np.arange(EASY, dtype=np.int64) % CLASSES
        drawn = easy_samples(self.info, labels, CLASSES, np.random.default_rng(0))
        return self._study(labels, drawn)

    @functools.cached_property
    def _first(self) -> nn.Module:
        return self.build_anew()

    @functools.cached_property
    def _random(self) -> Inputs:
        labels = np.arange(BATCH, dtype=np.int64) % CLASSES
        return self._inputs(self._study(labels, random_samples(self.info, BATCH, np.random.default_rng(0))))

    def _inputs(self, data: StudyData) -> Inputs:
        recipe = recipe_of(self.info, {**self.values, "augment": ""})
        return make_inputs(self.info, self._first, recipe, data, np.arange(len(data)), "cpu")

    def _study(self, labels: np.ndarray, drawn: list[np.ndarray]) -> StudyData:
        n = len(labels)
        people = np.array([f"drawn/p{row // CLASSES}" for row in range(n)])
        units = np.random.default_rng(1).integers(0, 2, (n, len(SHARED_UNITS))).astype(np.int8)
        return StudyData(
            sample_ids=np.array([f"{person}/c{row:02d}" for row, person in enumerate(people)]),
            subjects=people,
            datasets=np.full(n, "drawn"),
            splits=np.full(n, ""),
            labels=labels,
            features={name: as_stored(name, x) for name, x in zip(self.info.features, drawn, strict=True)},
            layouts={name: FEATURES.get(name).layout for name in self.info.features},
            classes=tuple(f"class{number}" for number in range(CLASSES)),
            action_units=units if self.info.uses_action_units else None,
        )


def check_full_size(case: NetworkCase) -> None:
    """With its default settings and random weights, logits (1, n_classes) of one whole sample are finite.

    Of more than ``LARGE`` parameters, which take ten seconds, the shape of the logits alone is worked out.
    """
    info = case.info
    large = network_size(info, {}, CLASSES, flops=False).parameters > LARGE
    sample = random_samples(info, 1, np.random.default_rng(0))
    device = torch.device("meta" if large else "cpu")
    with torch.no_grad(), torch.random.fork_rng(devices=[]), device:
        network = info.build(n_classes=CLASSES, **info.untrained_params).eval()
        logits = network(*(torch.from_numpy(values).to(device) for values in sample[: len(info.inputs)]))
    _check_logits(torch.zeros_like(logits, device="cpu") if large else logits, 1, CLASSES, "evaluation")


def check_logits(case: NetworkCase) -> None:
    """With its quick settings, logits are finite float32 (n, n_classes) for any n and n_classes, also in training."""
    numbers, classes = COUNTS
    for n_classes in classes:
        network = case.build(n_classes)
        for n, (mode, training) in itertools.product(numbers, (("training", True), ("evaluation", False))):
            try:
                with torch.no_grad(), torch.random.fork_rng(devices=[]):
                    logits = network.train(training)(*case.batch(n))
            except ValueError as error:
                # Batch normalisation of one pixel of one sample; the engine trains on no single sample.
                if training and n == 1 and ONE_VALUE in str(error):
                    continue
                raise
            _check_logits(logits, n, n_classes, mode)


def check_no_probabilities(case: NetworkCase) -> None:
    """Logits are neither probabilities nor their logarithms."""
    with torch.no_grad():
        logits = case.build().eval()(*case.batch(4))
    for sums, kind in ((logits.sum(dim=1), "probabilities"), (logits.exp().sum(dim=1), "logarithms of probabilities")):
        close = torch.allclose(sums, torch.ones(4), atol=1e-3)
        expect(not close, f"The logits of each sample look like {kind}. Leave the softmax out: the loss has its own.")


def check_blank_input(case: NetworkCase) -> None:
    """A blank input (a face that does not move) has finite logits and gradients."""
    network = case.build()
    logits = network(*(torch.zeros_like(values) for values in case.batch(4)))
    expect(logits.isfinite().all(), f"The logits of features that are 0 are {logits.tolist()}. Divide by no zero.")
    logits.sum().backward()
    wild = [name for name, one in network.named_parameters() if one.grad is not None and not one.grad.isfinite().all()]
    expect(not wild, f"Of features that are 0, the gradients of {', '.join(wild)} are not finite. Divide by no zero.")


def check_gradients(case: NetworkCase) -> None:
    """The loss is finite and its gradients reach every parameter, of what its own loss alone uses too."""
    # A second step, because some blocks start as the identity (their last scale is 0); another draw of weights, because
    # a bottleneck of three ReLUs may be dead under one.
    batch, labels = case.batch(4), torch.arange(4) % CLASSES
    idle = {name for name, one in case.build().named_parameters() if one.requires_grad}
    for seed, step in itertools.product((0, 1), (0, 1)):
        if step == 0:
            # In eval mode, because training statistics take a bias before a batch normalisation out again.
            network = case.build(seed=seed).eval()
        loss = functional.cross_entropy(network(*batch), labels)
        expect(loss.isfinite(), f"The cross-entropy of the logits is {loss.item()}.")
        loss.backward()
        idle -= _reached(network)
        if not idle:
            return
        SGD(network.parameters(), lr=0.01).step()
        network.zero_grad()
    if hasattr(network, "loss"):
        # Some parameters serve the training alone, such as those of a decoder.
        case.loss(network.train(), 4, labels).backward()
        idle -= _reached(network)
    where = "forward or loss" if hasattr(network, "loss") else "forward"
    expect(not idle, f"No gradient reaches {', '.join(sorted(idle))}. Use these parameters in {where}, or remove them.")


def check_seed(case: NetworkCase) -> None:
    """The same seed gives the same first weights, another seed gives others."""
    first, again, other = (one.state_dict() for one in (case.build(), case.build_anew(), case.build(seed=4)))
    differs = [name for name, value in again.items() if not torch.equal(first[name], value)]
    expect(
        not differs,
        f"With the same seed, {', '.join(differs)} starts differently. Draw from torch's default generator only.",
    )
    if any(True for _ in case.build().parameters()):
        moved = any(not torch.equal(first[name], value) for name, value in other.items())
        expect(
            moved, "Another seed gives the same weights. Draw them from torch's default generator, and never seed it."
        )


def check_neighbours(case: NetworkCase) -> None:
    """In evaluation mode a sample does not see its neighbours in the batch."""
    network = case.build()
    batch = case.batch(4)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        network(*batch)
        network.eval()
        together = network(*batch)
        alone = torch.cat([network(*(values[row : row + 1] for values in batch)) for row in range(4)])
        order = torch.tensor([2, 0, 3, 1])
        padded = network(*(torch.cat([values[order], torch.zeros_like(values[:2])]) for values in batch))
    for other, what in ((alone, "alone"), (padded[:4][torch.argsort(order)], "among others, in another order")):
        close = torch.allclose(together, other, rtol=1e-4, atol=1e-4)
        expect(close, f"A sample has other logits {what}. Reduce over no axis of samples outside of training.")


def check_repeats(case: NetworkCase) -> None:
    """In evaluation mode the same samples have the same logits again: nothing is drawn."""
    network, batch = case.build().eval(), case.batch(3)
    with torch.no_grad():
        same = torch.equal(network(*batch), network(*batch))
    expect(same, "The same samples have other logits the second time. Draw nothing where `self.training` is False.")


def check_input_unchanged(case: NetworkCase) -> None:
    """It leaves its input as it was."""
    batch = case.batch(3)
    before = [values.clone() for values in batch]
    with torch.no_grad():
        case.build()(*batch)
    for name, values, was in zip(case.info.inputs, batch, before, strict=True):
        expect(torch.equal(values, was), f"It changes its input {name} in place. Write to copies only.")


def check_features_count(case: NetworkCase) -> None:
    """Every feature makes a difference, at least with the default settings."""
    if not _idle_features(case):
        return
    idle = _idle_features(NetworkCase(dataclasses.replace(case.info, quick={})))
    text = f"{', '.join(idle)} makes no difference to the logits. Use it in forward, or leave it out of features."
    expect(not idle, text)


def check_learns(case: NetworkCase) -> None:
    """It learns a handful of easy samples by heart."""
    batch, labels = case.easy()
    network = case.build()
    optimizer = Adam(network.parameters(), lr=LEARNING_RATE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for step in range(STEPS):
            network.train()
            optimizer.zero_grad()
            logits = network(*batch)
            functional.cross_entropy(logits, labels).backward()
            optimizer.step()
            network.eval()
            # Many know them after two steps; of those that drop values, training does not tell.
            soon = step < 4 and (logits.argmax(dim=1) == labels).all()
            with torch.no_grad():
                if (soon or step % 5 == 4) and (network(*batch).argmax(dim=1) == labels).all():
                    return
    expect(
        False,
        f"It still confuses its {EASY} training samples after {STEPS} steps of Adam with a rate of {LEARNING_RATE}. "
        "Look whether the input reaches the classifier, and at the range that it expects (input_range).",
    )


def check_state(case: NetworkCase) -> None:
    """Its weights can be stored and loaded: another network has the same logits with them."""
    network, other = case.build(), case.build(seed=1)
    batch = case.batch(3)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        network(*batch)
        stored = save({name: value.contiguous() for name, value in network.state_dict().items()})
        other.load_state_dict(load(stored))
        same = torch.equal(network.eval()(*batch), other.eval()(*batch))
    expect(same, "With the stored weights loaded, logits differ. Keep what they depend on in parameters or buffers.")


def check_trains(case: NetworkCase) -> None:
    """The engine trains it, with its own loss where it has one, and twice to the same bits."""
    _check_training(case, case.study)


def check_own_loss(case: NetworkCase) -> None:
    """A step along its own loss's gradient lowers it; the loss takes samples of several classes, too."""
    network: Any = case.build().eval()
    if not hasattr(network, "loss"):
        raise NotTried("it has no loss of its own")
    labels = torch.arange(4) % CLASSES
    first = case.loss(network, 4, labels)
    expect(first.shape == () and first.isfinite(), f"Its loss is {first}; expected one finite number.")
    first.backward()
    idle = [name for name, one in network.named_parameters() if one.requires_grad and one.grad is None]
    expect(not idle, f"No gradient of its loss reaches {', '.join(idle)}.")
    gradients = [one for one in network.parameters() if one.requires_grad]
    step = 0.01 / torch.cat([one.grad.flatten() for one in gradients]).norm()
    with torch.no_grad():
        for parameter in gradients:
            parameter -= step * parameter.grad
        lower = case.loss(network, 4, labels)
        expect(lower < first, f"A small step against its gradient moves the loss from {first} to {lower}.")
        if not case.info.one_class_only(case.values):
            value = case.loss(network, 4, functional.one_hot(labels, CLASSES), _binary)
            expect(value.isfinite(), f"Where samples may show several classes, its loss is {value}.")


def check_multilabel(case: NetworkCase) -> None:
    """The engine trains it on a task in which a sample may show several classes."""
    if reason := case.info.one_class_only(case.values):
        raise NotTried(f"{reason} is for one class a sample")
    shown = np.eye(CLASSES, dtype=np.int64)[case.study.labels]
    shown[::2] |= np.roll(shown[::2], 1, axis=1)
    _check_training(case, dataclasses.replace(case.study, labels=shown))


def check_reductions(case: NetworkCase) -> None:
    """Reduced features give the same logits, and reducing is linear: the engine reduces once, before it scales."""
    first, other = case.build().eval(), case.build(seed=1)
    if not hasattr(first, "reductions"):
        raise NotTried("it has no reductions")
    reductions: Any = first.reductions
    expect(reductions == other.reductions, "The reductions of two networks alike are not equal. Make them dataclasses.")
    whole = [torch.from_numpy(x) for x in random_samples(case.info, 3, np.random.default_rng(0))]
    reduced = [reduce(x) if reduce else x for reduce, x in zip(reductions, whole, strict=True)]
    if all(less.shape == x.shape for less, x in zip(reduced, whole, strict=True)):
        raise NotTried("its quick form looks at all there is")
    with torch.no_grad():
        close = _close(first(*reduced[: len(case.info.inputs)]), first(*whole[: len(case.info.inputs)]))
    expect(close, "Features that are reduced already have other logits. Apply the same reductions in forward.")
    for reduce, less, x in zip(reductions, reduced, whole, strict=True):
        if reduce:
            expect(torch.equal(reduce(less), less), f"{reduce} changes what it has reduced already.")
            for rows in ([1], [2, 0]):
                same = torch.equal(reduce(x[rows]), less[rows])
                expect(same, f"{reduce} reduces a sample differently among others, in the last bits at least.")
            mixed, parts = reduce(x + 2 * x.flip(-1)), less + 2 * reduce(x.flip(-1))
            expect(torch.allclose(mixed, parts, rtol=1e-4, atol=1e-4), f"{reduce} is not linear.")
            expect(_close(reduce(torch.full_like(x, 7.0)), torch.full_like(less, 7.0)), f"{reduce} moves a constant.")


def _check_logits(logits: Tensor, n: int, n_classes: int, mode: str) -> None:
    given = f"{tuple(logits.shape)} {logits.dtype}".replace("torch.", "")
    right = logits.shape == (n, n_classes) and logits.dtype == torch.float32
    expect(
        right,
        f"In {mode} mode, forward gives {given} of {n} sample(s) and {n_classes} classes; "
        f"expected ({n}, {n_classes}) float32.",
    )
    expect(logits.isfinite().all(), f"In {mode} mode, the logits of random features are not finite.")


def _reached(network: nn.Module) -> set[str]:
    """Return the names of the parameters that have a gradient other than 0."""
    return {name for name, one in network.named_parameters() if one.grad is not None and one.grad.abs().max() > 0}


def _binary(logits: Tensor, shown: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, shown.float())


def _idle_features(case: NetworkCase) -> list[str]:
    network, batch = case.build().eval(), case.batch(2)
    idle = []
    with torch.no_grad():
        logits = network(*batch)
        for place, name in enumerate(case.info.inputs):
            changed = [values.flip(0) if place == at else values for at, values in enumerate(batch)]
            if torch.equal(network(*changed), logits):
                idle.append(name)
    return idle


def _check_training(case: NetworkCase, data: StudyData) -> None:
    test = np.flatnonzero(data.subjects == data.subjects[0])
    fold = Fold("drawn", np.setdiff1d(np.arange(len(data)), test), np.empty(0, dtype=np.int64), test, 0)
    results: list[FoldResult] = []

    def fail(job: FoldJob, error: BaseException) -> None:
        raise error

    for _ in range(2):
        jobs = [FoldJob(fold, ("last",))]
        values = {**case.values, "epochs": 2}
        for _ in train_pack(case.info, values, data, jobs, lambda job, name, result: results.append(result), fail):
            pass
    scores = results[0].scores
    expect(np.isfinite(scores).all(), "After two epochs its logits are not finite.")
    same = scores.tobytes() == results[1].scores.tobytes()
    expect(same, "A second training with the same seed scores differently. Draw from torch's default generator only.")


def _close(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, rtol=1.3e-6, atol=1e-5)
