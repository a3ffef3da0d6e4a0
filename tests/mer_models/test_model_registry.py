"""Every model tells what a reader needs to know, and a model that could not be run is refused when it is registered."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from registered import every, passes
from torch import nn

from bench.checks import models
from bench.checks.check import Check, functions_of
from mer_models import registry
from mer_models._parts.pretrained import fetched_from_hub
from mer_models.contracts import PublishedScore, Refused, Resources, TrainingRecipe
from mer_models.registry import MODELS, ModelInfo, register_model
from preprocess.base.errors import UsageError
from preprocess.base.registry import Registry
from preprocess.recipes import FEATURES

BENCHMARK = r"[A-Z].* (\S+) (\w+|\S+ classes)"
"""Databases, protocol, and what is scored: a part of a composite, or a number of classes."""
ROOT = Path(__file__).resolve().parents[2]
RECIPE = TrainingRecipe(epochs=1, batch_size=1, lr=0.1)
FLOW = ("flow_uvs_28",)


@pytest.fixture(params=MODELS.names())
def info(request: pytest.FixtureRequest) -> ModelInfo:
    return MODELS.get(request.param)


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> Registry[ModelInfo]:
    models: Registry[ModelInfo] = Registry("model")
    monkeypatch.setattr(registry, "MODELS", models)
    return models


def test_the_baselines_are_there() -> None:
    expected = {"ststnet", "off_apexnet", "dual_inception", "rcn_a", "htnet", "majority", "flow_svm"}
    expected |= {"sssnet", "rcn_s", "rcn_w", "dual_atme", "capsulenet_me", "mmnet", "slstt", "samer", "au_gcn"}
    expected |= {"lbp_top_svm", "hoof_svm", "mdmo_svm", "biwoof_svm", "timm/resnet18", "video/r3d_18"}
    assert expected <= set(MODELS.names())


@pytest.mark.slow
@pytest.mark.parametrize("check", every("model", belongs_to="models"))
def test_every_model_says_what_must_be_known_of_it(check: Check) -> None:
    passes(check)


def test_published_scores_are_of_known_benchmarks(info: ModelInfo) -> None:
    for score in info.published:
        assert re.fullmatch(BENCHMARK, score.benchmark), score.benchmark


def published(name: str, part: str = "full") -> PublishedScore:
    return next(score for score in MODELS.get(name).published if score.benchmark.endswith(part))


def test_the_published_scores_of_htnet_are_stamped_oracle() -> None:
    assert {score.selection for score in MODELS.get("htnet").published} == {"oracle"}


def test_the_uar_of_ststnet_is_recall_not_the_printed_precision() -> None:
    printed = {"full": 0.7605, "casme2": 0.8686, "samm": 0.6810, "smic": 0.7013}
    for part, precision in printed.items():
        assert published("ststnet", part).uar < precision


FAMILY_MEMBERS = {
    "timm/resnet34": ("flow_uvs_28",),
    "timm/vit_tiny_patch16_224": ("flow_uvs_28",),
    "timm/resnet18@onset_apex_rgb_224": ("onset_apex_rgb_224",),
    "timm/mobilenetv3_small_050@flow_uvs_64": ("flow_uvs_64",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILY_MEMBERS)
def test_a_family_makes_the_member_asked_for(name: str) -> None:
    info = MODELS.get(name)
    assert info.name == name
    assert MODELS.get(name) is info
    assert MODELS.select(["rcn_*", name]) == ["rcn_a", "rcn_s", "rcn_w", name]
    assert name not in MODELS.names()
    assert info.features == FAMILY_MEMBERS[name]
    for check in functions_of(models):
        if check is not models.check_refused:
            check(info)
    shape = FEATURES.get(info.features[0]).shape
    network = info.build(n_classes=4, image_size=32).eval()
    with torch.no_grad():
        assert network(torch.rand(2, *shape)).shape == (2, 4)


def test_patterns_pick_the_listed_members_of_a_family() -> None:
    assert MODELS.select(["video/*"]) == ["video/mc3_18", "video/r2plus1d_18", "video/r3d_18"]
    assert MODELS.select(["timm/*"]) == ["timm/resnet18"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/", r"Model 'timm/': say which one of the family, as timm/NAME"),
        ("timm/resnet1", r"timm has no architecture 'resnet1'\. Did you mean: resnet18"),
        ("timm/resnet18@mdmo", r"cannot take feature 'mdmo'\. Expected images: flow_uvs_SIZE"),
        ("timm/resnet18.a1_in1k", r"Use model timm/resnet18 with --set timm/resnet18\.pretrained=a1_in1k"),
        ("video/r3d", r"No video network is called 'r3d'\. Did you mean: r3d_18"),
        ("tim/resnet18", r"Unknown model 'tim/resnet18'\. Did you mean: timm/resnet18"),
    ],
)
def test_a_member_that_is_not_there_is_named(name: str, message: str) -> None:
    for ask in (MODELS.get, lambda name: MODELS.select([name])):
        with pytest.raises(UsageError, match=message):
            ask(name)


PRETRAINED = [name for name, info in MODELS.items() if "pretrained" in info.params]


@pytest.mark.slow
@pytest.mark.parametrize("name", PRETRAINED)
def test_trained_weights_out_of_reach_are_told(name: str, monkeypatch: pytest.MonkeyPatch, silent_hub: None) -> None:
    def no_network(*arguments: Any, **options: Any) -> None:
        raise OSError("Name or service not known")

    # torchvision first: it takes torch.hub's function over for good when it is imported.
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", no_network)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", no_network)
    monkeypatch.setattr("timm.models._builder.load_pretrained", no_network)
    why = "(these weights cannot be had from .*OSError: Name or service|no library has the weights of )"
    expected = rf"{name}\.pretrained is 'default', but {why}"
    with pytest.raises(UsageError, match=expected):
        MODELS.get(name).build(n_classes=3, pretrained="default")


def test_a_silent_hub_is_not_asked_again_and_again(monkeypatch: pytest.MonkeyPatch, silent_hub: None) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"waits {seconds} s before it asks again"))
    expected = (
        r"timm/resnet18\.pretrained is 'default', .* the hub that timm loads from, https?://.*, which does not answer "
        r"\(ConnectionError: no route to http.* in 5 s\), nor from its cache: LocalEntryNotFoundError"
    )
    with pytest.raises(UsageError, match=expected):
        MODELS.get("timm/resnet18").build(n_classes=3, pretrained="default")


def test_cached_weights_of_a_silent_hub_are_used(silent_hub: None) -> None:
    from huggingface_hub import constants

    assert fetched_from_hub("model.pretrained", "default", lambda: constants.HF_HUB_OFFLINE) is True
    assert constants.HF_HUB_OFFLINE is False


def test_a_hub_that_answers_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    class Session:
        def head(self, address: str, timeout: float) -> str:
            return "503 Service Unavailable"

    monkeypatch.setattr("huggingface_hub.get_session", Session)
    assert fetched_from_hub("model.pretrained", "default", lambda: constants.HF_HUB_OFFLINE) is False


def test_a_download_server_that_stays_silent_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from torchvision.models import ResNet18_Weights

    monkeypatch.setattr("mer_models._parts.pretrained.SILENT_SECONDS", 0.2)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    before = socket.getdefaulttimeout()
    # It is connected to by the operating system, and nobody ever answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/resnet18-f37072fd.pth"
        monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, "url", address)
        expected = (
            r"capsulenet_me\.pretrained is 'default', .* cannot be had from PyTorch's download server: TimeoutError"
        )
        with pytest.raises(UsageError, match=expected):
            MODELS.get("capsulenet_me").build(n_classes=3, pretrained="default")
    assert socket.getdefaulttimeout() == before
    assert [path.name for path in tmp_path.rglob("*.p*")] == []


def test_an_architecture_without_trained_weights_is_not_started_at_random() -> None:
    expected = r"timm/botnet50ts_256\.pretrained is 'default', but must be none, since timm has no trained weights"
    with pytest.raises(UsageError, match=expected):
        MODELS.get("timm/botnet50ts_256").build(n_classes=3, pretrained="default")


@pytest.mark.slow
def test_listing_the_models_imports_no_heavy_library() -> None:
    code = (
        "import sys; from mer_models.registry import MODELS; MODELS.names(); "
        "print([name for name in ('timm', 'torchvision', 'torch_geometric', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


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


class Complete(Unfinished):
    """An estimator with all methods."""

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def load_state(self, state: dict[str, np.ndarray]) -> None: ...


def test_an_estimator_asks_for_no_gpu_where_nothing_is_said(empty_registry: Registry[ModelInfo]) -> None:
    register_model("plain", features=FLOW, paper="none")(Complete)
    assert empty_registry.get("plain").resources == Resources(gpu=0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (network(lambda self, n_classes, width: None), {}, "Made: hyper-parameter 'width' has no default"),
        (network(lambda self, n_classes, **others: None), {}, "Made: hyper-parameter 'others' has no default"),
        (network(lambda self, n_classes, epochs=3: None), {}, "Made: hyper-parameter 'epochs' has the name of a"),
        (network(lambda self, width=3: None), {}, "Made: __init__ must take n_classes"),
        (network(lambda self, n_classes: None), {"features": "flow_uvs_28"}, "must be a tuple of feature names"),
        (network(lambda self, n_classes: None), {"features": ()}, "must look at one feature or more"),
        (network(lambda self, n_classes: None), {"paper": " "}, "paper is empty"),
        (network(lambda self, n_classes: None), {"recipe": None}, "an estimator .* missing: fit, scores, state"),
        (
            network(lambda self, n_classes: None),
            {"refused": (Refused("depth", 0, "1 or more"),)},
            "broken: refused names 'depth', which is no option",
        ),
        (Complete, {"recipe": None, "resources": Resources(gpu=0.5)}, "an estimator computes on the CPU, but its"),
        (Unfinished, {"nope": 3}, "Unfinished: no fact of a model is called 'nope'"),
        (Unfinished, {"feature": FLOW}, "is called 'feature'. Did you mean: features"),
        (network(lambda self, n_classes: None), {"two_classes": {"depth": 3}}, "broken: two_classes names 'depth'"),
        (network(lambda self, n_classes: None), {"quick": {"depth": 3}}, "broken: quick names 'depth', which is no"),
        (
            network(lambda self, n_classes: None),
            {"one_class_where": ("raw",)},
            "broken: one_class_where names 'raw', which",
        ),
        (
            network(lambda self, n_classes: None),
            {"published_input": True},
            "broken: published_input is for networks with",
        ),
        (
            network(lambda self, n_classes: None),
            {"seen_before": ("casme2",)},
            "broken: seen_before is for models with the setting pretrained",
        ),
        (
            network(lambda self, n_classes: None),
            {"quick": {"lr": 1}},
            "broken: quick gives lr=1, but the default is 0.1",
        ),
        (network(lambda self, n_classes: None), {"targets": FLOW}, "broken: targets is .* the last of its features"),
        (
            network(lambda self, n_classes: None),
            {"features": ("flow_uv_28", *FLOW), "targets": ("flow_uv_28",)},
            "broken: targets is .* the last of its features",
        ),
        (
            network(lambda self, n_classes: None),
            {"features": ("flow_uv_28", *FLOW), "targets": FLOW},
            "broken: only a loss of its own is given targets",
        ),
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


def test_every_setting_of_a_network_is_listed_once(info: ModelInfo) -> None:
    recipe_fields = vars(info.recipe) if info.recipe else {}
    assert len(info.hyperparameters()) == len(recipe_fields) + len(info.params)


@pytest.mark.parametrize(
    ("model", "own", "message"),
    [
        ("htnet", "flow_farneback_28", "htnet/flow_uvs_60: HTNet's own flow is flow_farneback_28"),
        ("au_gcn", "au_rois_flow_8bit", "au_gcn/flow_uvs_60: the motion of AUW-GCN's own code is au_rois_flow_8bit"),
        ("mdmo_svm", "mdmo_as_published", "mdmo_svm/flow_uvs_60: the descriptor of public code is mdmo_as_published"),
        (
            "biwoof_svm",
            "biwoof_as_published",
            "of public code are biwoof_as_published, biwoof_100. Use model",
        ),
        ("biwoof_svm", "biwoof_100", "biwoof_svm/flow_uvs_60: the descriptors of public code are biwoof_as_published"),
        ("lbp_top_svm", "lbp_top_as_published", "of public code are lbp_top_as_published, lbp_top_4x4x2_as_published"),
        ("lbp_top_svm", "lbp_top_4x4x2_as_published", "lbp_top_svm/flow_uvs_60: the descriptors of public code are"),
    ],
)
def test_a_model_reads_its_own_codes_feature_under_a_name_of_its_own(model: str, own: str, message: str) -> None:
    info, usual = MODELS.get(f"{model}/{own}"), MODELS.get(model)
    assert (info.name, info.features) == (f"{model}/{own}", (own,))
    assert (info.recipe, info.build, info.quick) == (usual.recipe, usual.build, usual.quick)
    assert FEATURES.get(own).axes == FEATURES.get(usual.features[0]).axes
    assert MODELS.select([f"{model}*"]) == [model], "a pattern chooses what is listed"
    with pytest.raises(UsageError, match=message):
        MODELS.get(f"{model}/flow_uvs_60")


@pytest.mark.parametrize(
    ("model", "frames"),
    [
        ("unified_fgs_vs", "landmark_motion_top"),
        ("unified_fgs_vs/stldn_patches_motion_steps", "landmark_motion_steps"),
        ("unified_fgs_vs/stldn_patches_equal_steps", "unified_11"),
    ],
)
def test_both_streams_of_the_unified_framework_look_at_the_same_frames(model: str, frames: str) -> None:
    info, usual = MODELS.get(model), MODELS.get("unified_fgs_vs")
    assert (info.name, info.build) == (model, usual.build)
    recipes = [FEATURES.get(name) for name in info.features]
    assert [recipe.shape for recipe in recipes] == [FEATURES.get(name).shape for name in usual.features]
    chosen = [dict(recipe.steps)["select"] for recipe in recipes]
    assert chosen[0] == chosen[1]
    assert chosen[0]["frames"] == frames
