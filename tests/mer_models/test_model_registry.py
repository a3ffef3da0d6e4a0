"""Every model tells what a reader needs to know, and a model that could not be run is refused when it is registered."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from torch import nn

from mer_models import registry
from mer_models.registry import MODELS, ModelInfo, PublishedScore, Recipe, register_model
from preprocess.base.errors import UsageError
from preprocess.base.hashing import canonical_json, code_fingerprint
from preprocess.base.registry import Registry

BENCHMARKS = (
    r"MEGC2019 cde (full|casme2|samm|smic)",
    r"(CASME II|SAMM|SMIC|MMEW) loso (\d+|objective) classes",
)
RECIPE = Recipe(epochs=1, batch_size=1, lr=0.1)
FLOW = ("flow_uvs_28",)


@pytest.fixture(params=MODELS.names())
def info(request: pytest.FixtureRequest) -> ModelInfo:
    return MODELS.get(request.param)


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> Registry[ModelInfo]:
    models: Registry[ModelInfo] = Registry("model")
    monkeypatch.setattr(registry, "MODELS", models)
    return models


def test_the_models_of_the_first_leaderboard_are_there() -> None:
    expected = {"ststnet", "off_apexnet", "dual_inception", "rcn_a", "htnet", "majority", "flow_svm"}
    assert expected <= set(MODELS.names())


def test_a_model_documents_itself(info: ModelInfo) -> None:
    assert info.paper.strip()
    assert info.features
    assert "Input :" in (info.build.__doc__ or ""), f"{info.name}: the docstring lacks its 'Input :' line"
    assert "(n, " in (info.build.__doc__ or ""), f"{info.name}: the docstring lacks the input's shape"
    undocumented = [name for name in info.params if f"{name} :" not in (info.build.__doc__ or "")]
    assert undocumented == [], f"{info.name}: hyper-parameters without a line in the docstring"


def test_a_models_settings_can_name_a_run(info: ModelInfo) -> None:
    canonical_json(info.hyperparameters())
    assert len(code_fingerprint(info.sources)) == 64


def test_resources_and_recipe_are_sane(info: ModelInfo) -> None:
    assert info.resources.cpus >= 1
    assert info.resources.pack >= 1
    assert 0 <= info.resources.gpu <= 1
    if info.kind == "estimator":
        assert info.resources.gpu == 0
    else:
        assert info.recipe.epochs >= 1
        assert info.recipe.batch_size >= 1
        assert info.recipe.lr > 0


def test_published_scores_say_where_they_were_read(info: ModelInfo) -> None:
    for score in info.published:
        assert any(re.fullmatch(pattern, score.benchmark) for pattern in BENCHMARKS), score.benchmark
        numbers = [score.uf1, score.uar, score.accuracy, score.f1]
        assert all(0 < number < 1 for number in numbers if number is not None)
        assert (score.uf1 is None) == (score.uar is None), "UF1 and UAR are printed together"
        assert score.uf1 is not None or score.accuracy is not None
        assert score.source


def published(name: str, part: str = "full") -> PublishedScore:
    return next(score for score in MODELS.get(name).published if score.benchmark.endswith(part))


def test_the_published_scores_of_htnet_are_stamped_oracle() -> None:
    assert {score.selection for score in MODELS.get("htnet").published} == {"oracle"}


def test_the_uar_of_ststnet_is_recall_not_the_printed_precision() -> None:
    printed = {"full": 0.7605, "casme2": 0.8686, "samm": 0.6810, "smic": 0.7013}
    for part, precision in printed.items():
        assert published("ststnet", part).uar < precision


def test_an_unknown_name_gives_the_near_ones() -> None:
    with pytest.raises(UsageError, match=r"Unknown model 'stsnet'\. Did you mean: ststnet"):
        MODELS.get("stsnet")


def test_a_clash_names_both_origins(empty_registry: Registry[ModelInfo]) -> None:
    class First(nn.Module):
        def __init__(self, n_classes: int) -> None: ...

    class Second(First):
        pass

    add = register_model("twin", features=FLOW, paper="none", recipe=RECIPE)
    add(First)
    with pytest.raises(UsageError, match=r"Two models are called 'twin'.*First.*Second"):
        add(Second)


def network(init: Any) -> type:
    """Return a network class with the given ``__init__``."""
    return type("Made", (nn.Module,), {"__init__": init})


class Unfinished:
    """An estimator that forgot how to be stored."""

    def __init__(self, n_classes: int) -> None: ...

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None: ...

    def scores(self, *features: np.ndarray) -> np.ndarray:
        return np.zeros(0)


@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (network(lambda self, n_classes, width: None), {}, "Made: hyper-parameter 'width' has no default"),
        (network(lambda self, n_classes, **others: None), {}, "Made: hyper-parameter 'others' has no default"),
        (network(lambda self, n_classes, epochs=3: None), {}, "Made: hyper-parameter 'epochs' has the name of a"),
        (network(lambda self, width=3: None), {}, "Made: __init__ must take n_classes"),
        (network(lambda self, n_classes: None), {"features": "flow_uvs_28"}, "must be a tuple of feature names"),
        (network(lambda self, n_classes: None), {"features": ()}, "must be a tuple of feature names"),
        (network(lambda self, n_classes: None), {"paper": " "}, "paper is empty"),
        (network(lambda self, n_classes: None), {"recipe": None}, "an estimator .* missing: fit, scores, state"),
        (Unfinished, {"recipe": None}, "Unfinished: an estimator .* missing: state, load_state"),
        (Unfinished, {}, "Unfinished: a network .* missing: forward"),
    ],
)
def test_a_model_that_could_not_run_is_refused(
    empty_registry: Registry[ModelInfo], cls: type, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        register_model("broken", **{"features": FLOW, "paper": "none", "recipe": RECIPE, **changes})(cls)
    assert empty_registry.names() == []


def test_a_shared_file_must_exist(empty_registry: Registry[ModelInfo]) -> None:
    made = type("Made", (nn.Module,), {"__init__": lambda self, n_classes: None, "__module__": __name__})
    with pytest.raises(FileNotFoundError, match=r"Made: shares names .*absent\.py, which does not exist"):
        register_model("broken", features=FLOW, paper="none", recipe=RECIPE, shares=("absent.py",))(made)


def test_every_setting_of_a_network_is_listed_once(info: ModelInfo) -> None:
    recipe_fields = vars(info.recipe) if info.recipe else {}
    assert len(info.hyperparameters()) == len(recipe_fields) + len(info.params)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ststnet", {"dropout": 1.0}),
        ("off_apexnet", {"dropout": -0.1}),
        ("rcn_a", {"dropout": 2.0}),
        ("rcn_a", {"feature_maps": 0}),
        ("htnet", {"dim": 2}),
    ],
)
def test_a_network_refuses_settings_it_cannot_obey(name: str, params: dict[str, Any]) -> None:
    setting = f"{name}.{next(iter(params))}"
    with pytest.raises(UsageError, match=rf"{setting} is .*, but must be .*--set {setting}="):
        MODELS.get(name).build(n_classes=3, **params)
