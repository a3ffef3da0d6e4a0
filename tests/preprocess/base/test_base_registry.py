"""Registries: clear errors for unknown names and clashes, and plug-ins through entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from preprocess.base import registry as registry_module
from preprocess.base.errors import UsageError
from preprocess.base.registry import Registry


@pytest.fixture
def colours() -> Registry[int]:
    """A registry with three entries."""
    registry: Registry[int] = Registry("colour")
    for number, name in enumerate(("red", "green", "grey")):
        registry.add(name, number, origin=f"here.{name}")
    return registry


def test_unknown_name_shows_the_near_ones(colours: Registry[int]) -> None:
    with pytest.raises(UsageError, match=r"Unknown colour 'gren'. Did you mean: .*green"):
        colours.get("gren")


def test_unknown_name_with_no_near_one_shows_all(colours: Registry[int]) -> None:
    with pytest.raises(UsageError, match=r"Known: green, grey, red\."):
        colours.get("zzzzzz")


def test_a_clash_names_both_origins(colours: Registry[int]) -> None:
    with pytest.raises(UsageError, match=r"Two colours are called 'red': one from here\.red, one from there\.red"):
        colours.add("red", 7, origin="there.red")
    assert colours.get("red") == 0


def test_registering_again_from_the_same_place_replaces(colours: Registry[int]) -> None:
    colours.add("red", 7, origin="here.red")
    assert colours.get("red") == 7


def test_decorator_registers_and_returns_its_function() -> None:
    steps: Registry[Callable[[int], int]] = Registry("step")

    @steps.register("double")
    def double(value: int) -> int:
        return 2 * value

    assert steps.get("double") is double
    assert double(3) == 6


def test_select_keeps_the_order_asked_for_without_doubles(colours: Registry[int]) -> None:
    assert colours.select(["red", "gr*", "green"]) == ["red", "green", "grey"]
    assert colours.names("gr*") == ["green", "grey"]
    assert list(colours.items()) == [("green", 1), ("grey", 2), ("red", 0)]


def test_select_refuses_a_pattern_that_picks_nothing(colours: Registry[int]) -> None:
    with pytest.raises(UsageError, match="Unknown colour 'blue"):
        colours.select(["red", "blue*"])


def test_a_package_is_read_on_first_use_and_private_modules_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "shapes_for_test"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from preprocess.base.registry import Registry\nSHAPES = Registry('shape', package='shapes_for_test')\n"
    )
    (package / "square.py").write_text("from shapes_for_test import SHAPES\nSHAPES.add('square', 4, __name__)\n")
    (package / "_broken.py").write_text("raise RuntimeError('never imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import shapes_for_test

    assert "shapes_for_test.square" not in sys.modules
    assert shapes_for_test.SHAPES.names() == ["square"]


def test_an_installed_plug_in_adds_its_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[int] = Registry("flavour")
    (tmp_path / "plugin_for_test.py").write_text("import builtins\nbuiltins._flavours.add('lemon', 1, __name__)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("builtins._flavours", registry, raising=False)
    _install(monkeypatch, "merbench.flavours", "plugin_for_test")
    assert registry.names() == ["lemon"]


def test_a_plug_in_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[int] = Registry("flavour")
    _install(monkeypatch, "merbench.flavours", "no_such_module_at_all")
    with pytest.raises(UsageError, match=r"flavour plug-in 'extra' \(no_such_module_at_all\) cannot be imported"):
        registry.names()


def _install(monkeypatch: pytest.MonkeyPatch, wanted: str, module: str) -> None:
    def installed(group: str) -> list[EntryPoint]:
        return [EntryPoint(name="extra", value=module, group=group)] if group == wanted else []

    monkeypatch.setattr(registry_module, "entry_points", installed)
