"""The page about preprocessing: its recipe makes a feature as it stands there, and what counts in one is said truly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import portraits
import pytest

import preprocess
from preprocess.base.plugins import load_plugins, unload_plugins
from preprocess.faces.finder import DlibFaceFinder
from preprocess.recipes import FEATURES, load_recipes
from preprocess.samples.clip import Clip
from preprocess.samples.layout import AXES
from preprocess.steps import STEPS

PAGE = (Path(preprocess.__path__[0]) / "README.md").read_text(encoding="utf-8")
(RECIPES,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
STEP = re.findall(r"^```python\n(.*?)^```", PAGE[PAGE.index("### Add a feature step") :], re.MULTILINE | re.DOTALL)[0]


@pytest.fixture(scope="module")
def smile(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    frames = portraits.expression(11, 5, lambda level: portraits.bump(portraits.MOUTH, -3 * level, -4 * level))
    return portraits.clip_of(portraits.write_frames(tmp_path_factory.mktemp("smile"), frames), apex=6)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the page registers is removed when a test ends."""
    FEATURES.names()
    monkeypatch.setattr(FEATURES, "_entries", dict(FEATURES._entries))
    monkeypatch.setattr(FEATURES, "_origins", dict(FEATURES._origins))
    yield
    unload_plugins()


@pytest.mark.slow
def test_the_recipe_makes_a_feature(smile: Clip, tmp_path: Path) -> None:
    file = tmp_path / "my_features.yaml"
    file.write_text(RECIPES)
    (recipe,) = load_recipes(file)
    tensor = recipe.compute(smile, DlibFaceFinder()).tensor
    assert tensor is not None
    assert np.abs(tensor).max() > 0.5, "the mouth moves"
    assert (recipe.layout.content.u, recipe.layout.content.whole) == (0, True)


def test_the_code_of_a_step_from_outside_counts_in_the_features_that_use_it(tmp_path: Path) -> None:
    file = tmp_path / "my_step.py"
    file.write_text(STEP)
    load_plugins([str(file)])
    before = FEATURES.get("motion_grid_8").as_json()
    assert before["steps"][0][:2] == ["face", STEPS.get("face").version], "a step of this package counts by its version"
    assert "parts.mean(" in STEP
    file.write_text(STEP.replace("parts.mean(", "parts.max("))
    load_plugins([str(file)])
    assert FEATURES.get("motion_grid_8").as_json() != before


def test_every_letter_of_an_axis_is_on_the_page() -> None:
    table = PAGE[PAGE.index("| letter | axis |") : PAGE.index("```yaml")]
    assert set(re.findall(r"`([a-z])`", table)) == set(AXES)
