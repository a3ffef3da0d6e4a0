"""Every option of every model: a value that it cannot obey is refused by name, before any weights are drawn."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, NoReturn

import pytest
from torch import nn

from mer_models.registry import MODELS
from preprocess.base.errors import UsageError


class Bad(NamedTuple):
    """A value of an option, a pattern of what is expected in its place, and settings beside which it is bad."""

    option: str
    value: Any
    expected: str
    beside: dict[str, Any] = {}  # noqa: RUF012


def machine(*kernels: str, scaled: bool = True) -> list[Bad]:
    """Return what a support vector machine refuses."""
    return [
        Bad("C", 0.0, "a number above 0"),
        Bad("C", -1.0, "a number above 0"),
        Bad("kernel", "sigmoid", "one of: " + ", ".join(kernels)),
        Bad("gamma", "wide", "scale, auto or a number above 0"),
        Bad("gamma", -1.0, "scale, auto or a number above 0"),
        *([Bad("scale", "rows", "one of: none, unit, standard")] if scaled else []),
    ]


def dropout(option: str = "dropout", limit: str = "1") -> list[Bad]:
    expected = f"a number from 0 to below {limit}"
    return [Bad(option, -0.1, expected), Bad(option, float(limit), expected)]


KERNELS = ("rbf", "linear", "poly")
TRAINED = {"pretrained": "default"}
PRETRAINED = Bad("pretrained", "mine", "none or default")
WIDTH = [Bad("width", 0, "a divisor of 64"), Bad("width", 48, "a divisor of 64"), Bad("width", 128, "a divisor of 64")]
NARROW_TRAINED = Bad("width", 32, "a divisor of 64; 64 with pretrained weights", TRAINED)
FRAME_CNN = [
    Bad("form", "ternary", "one of: auto, binary, multiclass"),
    Bad("image_size", 31, "a number of pixels from 32"),
    Bad("maps", -1, "0, or a number of maps"),
]
RCN = [Bad("feature_maps", 0, "a whole number of at least 1"), *dropout()]
VIDEO = [
    *(PRETRAINED, *WIDTH, NARROW_TRAINED),
    Bad("image_size", -1, "0, or a number of pixels"),
    *(Bad("frames", value, "a divisor of 16 of at least 2") for value in (-2, 0, 1, 5, 32)),
]

REFUSED: dict[str, list[Bad]] = {
    "au_fusion": [
        Bad("au_depth", 50, "63 or 32 or 17"),
        Bad("au_width", 0, "a whole number of at least 1"),
        *(Bad("image_size", value, "0, or a number of pixels from 32") for value in (-1, 31)),
        Bad("depth", 0, "a whole number of at least 1"),
    ],
    "au_gcn": dropout(),
    "au_layered": [
        *(Bad("frames", value, "a divisor of 12") for value in (-1, 0, 5, 24)),
        Bad("depth", 0, "a whole number of at least 1"),
    ],
    "biwoof_svm": machine(*KERNELS),
    "capsulenet_me": [
        *(PRETRAINED, *WIDTH, NARROW_TRAINED),
        *(Bad("image_size", value, "a multiple of 8 of at least 136") for value in (128, 140)),
        Bad("image_size", 32, "a multiple of 8 of at least 40", {"kernel": 3}),
        Bad("kernel", 0, "a number of pixels"),
        *(Bad("maps", value, "a multiple of 8") for value in (0, 12)),
    ],
    "cnn2d_vote": FRAME_CNN,
    "cnn3d": FRAME_CNN,
    "cnn_lstm": FRAME_CNN,
    "convlstm": FRAME_CNN,
    "dual_atme": dropout(),
    "dual_inception": [],
    "flow_svm": machine(*KERNELS, scaled=False),
    "hoof_svm": machine(*KERNELS),
    "htnet": [Bad("dim", 2, "a whole number of at least 3")],
    "lbp_top_svm": [*machine(*KERNELS), Bad("degree", 0, "a whole number of at least 1")],
    "majority": [],
    "mdmo_svm": machine(*KERNELS),
    "mhssa_gcn": [*(Bad("dim", value, "a multiple of 4") for value in (0, 30)), *dropout()],
    "mmnet": [
        *(Bad("image_size", value, "a multiple of 16") for value in (0, 100)),
        *(Bad("width", value, "a multiple of 16") for value in (0, 24)),
        *dropout("drop_path"),
    ],
    "off_apexnet": dropout(),
    "rcn_a": RCN,
    "rcn_s": RCN,
    "rcn_w": [*(Bad("feature_maps", value, "a multiple of 4 of at least 4") for value in (0, 30)), *dropout()],
    "samer": [
        *(PRETRAINED, *WIDTH, NARROW_TRAINED),
        *(Bad("image_size", value, "an even number of at least 64") for value in (62, 65)),
        *dropout(limit="0.9"),
    ],
    "slstt": [
        PRETRAINED,
        Bad("size", "huge", "one of: base, small, tiny, pico"),
        Bad("size", "pico", "one of: base, small, tiny", TRAINED),
        Bad("depth", 0, "at least 1"),
        Bad("depth", 6, "12 with pretrained weights", TRAINED),
        Bad("state", 0, "at least 1"),
        *(Bad("image_size", value, "a multiple of 16") for value in (0, 20)),
    ],
    "sssnet": dropout(),
    "ststnet": dropout(),
    "timm/resnet18": [
        Bad("image_size", -1, "0, or a number of pixels"),
        *(Bad("pretrained", value, "none, default or one of: .*, tv_in1k.*") for value in ("mine", "")),
    ],
    "unified_fgs_vs": [
        Bad("stream", "sound", "one of: both, graph, visual"),
        Bad("vit", "resnet18", "a vision transformer of timm by its name there, vit_SIZE_patchP_SIDE"),
        Bad("image_size", 0, "a multiple of 16, the side of the patches of vit_tiny_patch16_224"),
        Bad(
            "image_size",
            48,
            "a multiple of 32, the side of the patches of vit_base_patch32_224",
            {"vit": "vit_base_patch32_224"},
        ),
        Bad("vit_depth", -1, "0, or a number of layers"),
        *(Bad("graph_width", value, "a multiple of 64") for value in (0, 96)),
        PRETRAINED,
    ],
    "video/mc3_18": VIDEO,
    "video/r2plus1d_18": VIDEO,
    "video/r3d_18": VIDEO,
}


@pytest.mark.parametrize("model", MODELS.names())
def test_every_option_of_a_model_has_values_that_are_refused(model: str) -> None:
    """Except for those that are true or false, which ``--set`` checks itself."""
    options = {option for option, default in MODELS.get(model).params.items() if not isinstance(default, bool)}
    assert {bad.option for bad in REFUSED[model]} == options


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network gets as far as to have weights."""

    def built(module: nn.Module, *arguments: Any) -> NoReturn:
        pytest.fail(f"{type(module).__name__} is built before the option is looked at", pytrace=False)

    monkeypatch.setattr(nn.Module, "register_parameter", built)


@pytest.mark.parametrize(
    ("model", "bad"),
    [(model, bad) for model, rows in REFUSED.items() for bad in rows],
    ids=lambda given: f"{given.option}={given.value}" if isinstance(given, Bad) else given,
)
def test_a_value_that_cannot_be_obeyed_is_refused(model: str, bad: Bad, without_weights: None) -> None:
    with pytest.raises(UsageError) as error:
        MODELS.get(model).build(n_classes=3, **{bad.option: bad.value}, **bad.beside)
    setting, message = f"{model}.{bad.option}", str(error.value)
    expected = rf"{setting} is {bad.value!r}, but must be {bad.expected}\. Change it with --set {setting}=VALUE\."
    assert re.fullmatch(expected, message), message
