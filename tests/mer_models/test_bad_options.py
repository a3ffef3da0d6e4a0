"""Every option of every model: a value that it cannot obey is refused by name, before any weights are drawn."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from torch import nn

from bench.checks.models import check_refused
from mer_models.registry import MODELS, ModelInfo

WITH_REFUSED = [info for _, info in MODELS.items() if info.refused]


def test_models_say_what_their_options_refuse() -> None:
    assert {"htnet", "slstt", "flow_svm", "timm/resnet18"} <= {info.name for info in WITH_REFUSED}


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network gets as far as to have weights."""

    def built(module: nn.Module, *arguments: Any) -> NoReturn:
        pytest.fail(f"{type(module).__name__} is built before the option is looked at", pytrace=False)

    monkeypatch.setattr(nn.Module, "register_parameter", built)


@pytest.mark.parametrize("info", WITH_REFUSED, ids=lambda info: info.name)
def test_values_that_cannot_be_obeyed_are_refused(info: ModelInfo, without_weights: None) -> None:
    """One of every option, except for those that are true or false, which ``--set`` checks itself."""
    check_refused(info)
