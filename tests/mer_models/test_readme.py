"""The page about the models names what is registered: models with two forms, real commands, real sizes."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

import mer_models
from bench.config import RunConfig
from bench.engine.selection import SELECTIONS
from bench.plan.hyperparameters import resolve
from bench.study.protocols import select_protocols
from mer_models.registry import MODELS
from preprocess.labels.tasks import TASKS

PAGE = (Path(mer_models.__path__[0]) / "README.md").read_text(encoding="utf-8")
TWO_FORMS = [info for _, info in MODELS.items() if "as_published" in info.params]
COMMANDS = re.findall(r"^merbench run .*$", PAGE.replace("\\\n", " "), re.MULTILINE)


def options_of(command: str, name: str) -> list[str]:
    words = shlex.split(command, comments=True)
    values = [value for word, value in pairwise(words) if word == f"--{name}"]
    return [part for value in values for part in value.split(",")]


def test_the_tables_of_two_forms_are_of_models_that_have_them() -> None:
    tables = [section for section in PAGE.split("\n## ") if "`as_published=True` |" in section]
    named = {info.name for info in TWO_FORMS for table in tables if re.search(rf"\b{info.name}\b", table)}
    assert len(tables) >= 6
    assert all(any(name in table for name in named) for table in tables)
    assert {"htnet", "cnn3d", "au_fusion"} <= named


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_names_what_there_is(command: str) -> None:
    assert MODELS.select(options_of(command, "models"))
    assert TASKS.select(options_of(command, "tasks"))
    assert select_protocols(options_of(command, "protocols"))
    assert all(SELECTIONS.get(name) for name in options_of(command, "selection"))


def test_each_setting_can_be_set() -> None:
    written = re.findall(r"--set ([a-z0-9_/]+\.[a-z_]+)=([^\s`]+)", PAGE)
    examples = tuple(f"{name}." for name in re.findall(r'register_model\(\s*"(\w+)"', PAGE))
    settings = {setting: value for setting, value in written if not setting.startswith(examples)}
    assert len(settings) > 4
    models = sorted({setting.partition(".")[0] for setting in settings})
    typed = {name: {"true": True, "false": False}.get(value, value) for name, value in settings.items()}
    resolved = resolve(RunConfig(models=models, set=typed, tracking_uri="off"), list(map(MODELS.get, models)))
    assert resolved["htnet"]["as_published"] is True


def test_sizes_are_those_of_the_docstrings() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]*\| ([\d,]+)", PAGE, re.MULTILINE)
    assert {"htnet", "ststnet", "au_fusion"} <= {name for name, _ in rows}
    for name, size in rows:
        assert size in (MODELS.get(name).build.__doc__ or ""), name


def test_published_weights_are_those_that_models_declare() -> None:
    section = PAGE.partition("## Published weights")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)`", section, re.MULTILINE))
    declared = {name: info.public_weights.source for name, info in MODELS.items() if info.public_weights}
    assert rows == {name: source.partition(",")[0] for name, source in declared.items()}
    for source in declared.values():
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{7,40}, \S+", source)
