"""Recipe files: what a feature is, which mistakes are refused, and what its axes and values mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings import mean_recipe

from preprocess.base.errors import UsageError
from preprocess.base.registry import Registry
from preprocess.recipes import FEATURES, FeatureRecipe, load_recipes
from preprocess.steps import STEPS

GOOD = """
mine:
  version: 1
  summary: flow of my own
  shape: [2, 14, 14]
  axes: chw
  dtype: float32
  steps:
    - face: {size: [64, 64]}
    - select: {frames: onset_apex}
    - load
    - flow: {method: farneback}
    - flow_tensor: {channels: [u, v], size: 14, normalise: raw}
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features and steps that a test registers are forgotten when it ends."""
    registries: list[Registry] = [FEATURES, STEPS]
    for registry in registries:
        registry.names()
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_origins", dict(registry._origins))


def read(folder: Path, text: str) -> FeatureRecipe:
    file = folder / "my.yaml"
    file.write_text(text)
    (recipe,) = load_recipes(file)
    return recipe


def test_a_recipe_says_what_its_axes_are(tmp_path: Path) -> None:
    recipe = read(tmp_path, GOOD)
    assert FEATURES.get("mine") is recipe
    layout = recipe.layout
    assert (layout.axes, layout.shape, layout.content.u, layout.content.whole) == ("chw", (2, 14, 14), 0, True)


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("  axes: chw\n", "", "the key axes is missing; found version, summary, shape, dtype, steps. Give a letter"),
        (
            "axes: chw",
            "axes: 3",
            "axes is 3; expected str. Give a letter for each axis of the shape, such as `axes",
        ),
        ("axes: chw", "axes: tchw", "axes is 'tchw': that is 4 for the 3 axes of shape [2, 14, 14]. Expected a letter"),
        ("axes: chw", "axes: czw", "axes is 'czw': 'z' is no axis. Expected a letter for each axis of the shape: l m"),
        ("axes: chw", "axis: chw", "expected the keys version, summary, shape, axes, dtype, steps; found {'version'"),
        ("shape: [2, 14, 14]", "shape: 28", "shape is 28; expected list."),
        ("normalise: raw", "normal: raw", "step flow_tensor has no option 'normal'. Did you mean: normalise?"),
    ],
)
def test_a_bad_recipe_is_told_by_file_feature_and_key(tmp_path: Path, good: str, bad: str, message: str) -> None:
    assert good in GOOD
    with pytest.raises(UsageError) as error:
        read(tmp_path, GOOD.replace(good, bad))
    assert str(error.value).startswith(f"{tmp_path / 'my.yaml'}: mine: {message}")
    assert "mine" not in FEATURES.names()


def test_a_recipe_made_in_python_is_checked_too() -> None:
    with pytest.raises(UsageError, match="Feature mean: axes is 'thw': that is 3 for the 2 axes of shape"):
        mean_recipe(axes="thw")


def test_axes_do_not_change_the_tensor_so_that_shards_stay(tmp_path: Path) -> None:
    first = read(tmp_path, GOOD).as_json()
    assert first == read(tmp_path, GOOD.replace("axes: chw", "axes: thw")).as_json()


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("flow_uvs_28", "chw"),
        ("flow_clip_16_112", "cthw"),
        ("flow_wheel_11_224", "tchw"),
        ("frames_9_128", "tchw"),
        ("near_onset_apex_rgb_224", "tmchw"),
        ("flow_patches_30", "ltcvhw"),
        ("shape_patches_30", "tvhw"),
        ("landmarks_aligned", "tvx"),
        ("au_rois_flow", "tvd"),
        ("lbp_top", "f"),
    ],
)
def test_the_axes_of_built_in_features(name: str, axes: str) -> None:
    assert FEATURES.get(name).axes == axes


MY_STEPS = '''
from dataclasses import replace

from preprocess.samples.layout import Content
from preprocess.steps import as_before, register_step


@register_step("{name}_blur", version=1, {blur})
def blur(work, *, width: int = 3):
    """Blur the frames."""
    return work


@register_step("{name}_energy", version=1, {energy})
def energy(work):
    """Make the result from the energy of the frames."""
    return replace(work, tensor=work.frames[0])
'''


def of_my_steps(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, blur: str, energy: str) -> FeatureRecipe:
    """Return a feature of times, channels, rows and columns that two steps of one file of a user's make."""
    (folder / f"{name}.py").write_text(MY_STEPS.format(name=name, blur=blur, energy=energy))
    monkeypatch.syspath_prepend(str(folder))
    __import__(name)
    chain = f"[load, {{{name}_blur: {{width: 5}}}}, {name}_energy]"
    text = f"{name}:\n  version: 1\n  summary: energy\n  shape: [4, 3, 8, 8]\n  axes: tchw\n  dtype: float32\n"
    return read(folder, f"{text}  steps: {chain}\n")


def test_a_step_of_ones_own_says_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    energy = "tensor=lambda before, options: Content(whole=before.whole, no_mirror='it is wide')"
    content = of_my_steps(tmp_path, monkeypatch, "says", "pictures=as_before", energy).layout.content
    assert (content.whole, content.no_mirror, content.unknown) == (True, "it is wide", "")


@pytest.mark.parametrize(
    ("name", "blur", "energy", "unsaid"),
    [
        ("silent", "pictures=as_before", "tensor=None", "step silent_energy does not say what its tensor shows"),
        ("vague", "", "tensor=as_before", "step vague_blur does not say what frames and flow show after it"),
    ],
)
def test_the_time_of_steps_that_say_nothing_is_not_taken_for_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, blur: str, energy: str, unsaid: str
) -> None:
    layout = of_my_steps(tmp_path, monkeypatch, name, blur, energy).layout
    assert (layout.channel_axis, layout.time_axis) == (2, 1)
    assert layout.content.unknown.startswith(f"its {unsaid}; declare it: register_step('{unsaid.split()[1]}', ...")
