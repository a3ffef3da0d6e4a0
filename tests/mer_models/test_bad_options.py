"""Every option of every model: a value that it cannot obey is refused by name, before any weights are drawn."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import pytest
from torch import nn

from mer_models.contracts import Refused
from mer_models.registry import MODELS, ModelInfo
from preprocess.base.errors import UsageError

REFUSED = [(info, refused) for _, info in MODELS.items() for refused in info.refused]


@pytest.mark.parametrize("info", [info for _, info in MODELS.items() if info.refused], ids=lambda info: info.name)
def test_every_option_of_a_model_has_values_that_are_refused(info: ModelInfo) -> None:
    """Except for those that are true or false, which ``--set`` checks itself."""
    options = {option for option, default in info.params.items() if not isinstance(default, bool)}
    assert {refused.option for refused in info.refused} == options


def test_models_say_what_their_options_refuse() -> None:
    assert {"htnet", "slstt", "flow_svm", "timm/resnet18"} <= {info.name for info, _ in REFUSED}


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network gets as far as to have weights."""

    def built(module: nn.Module, *arguments: Any) -> NoReturn:
        pytest.fail(f"{type(module).__name__} is built before the option is looked at", pytrace=False)

    monkeypatch.setattr(nn.Module, "register_parameter", built)


@pytest.mark.parametrize(
    ("info", "refused"),
    REFUSED,
    ids=lambda given: f"{given.option}={given.value}" if isinstance(given, Refused) else given.name,
)
def test_a_value_that_cannot_be_obeyed_is_refused(info: ModelInfo, refused: Refused, without_weights: None) -> None:
    with pytest.raises(UsageError) as error:
        info.build(n_classes=3, **{refused.option: refused.value}, **refused.beside)
    setting, message = f"{info.name}.{refused.option}", str(error.value)
    expected = rf"{setting} is {refused.value!r}, but must be {refused.expected}\. Change it with --set {setting}=VALUE"
    assert re.fullmatch(expected + r"\.", message), message
