"""``merbench list``: everything registered, by kind."""

from __future__ import annotations

import pytest
from local_runs import LocalRuns
from throwaway_models import register_network

from bench.augmentation import AUGMENTATIONS
from bench.listing import listing
from bench.protocols import PROTOCOLS
from bench.selection import SELECTIONS
from mer_models.registry import MODELS
from preprocess.base.errors import UsageError
from preprocess.base.registry import Registry
from preprocess.datasets import DATASETS
from preprocess.recipes import FEATURES
from preprocess.steps import STEPS
from preprocess.tasks import TASKS
from results.metrics import METRICS
from results.multilabel import LABEL_METRICS

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
