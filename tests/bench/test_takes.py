"""One declaration of an option: the help of every command, the YAML keys and the README follow it."""

from __future__ import annotations

import inspect
from typing import Annotated

import pytest
import typer
from local_runs import LocalRuns

from bench.config import RunConfig
from bench.option_table import README, option_table, with_table
from bench.options.option import Option, flag
from bench.takes import ALL, declared, takes


def test_the_readme_tells_the_options_as_they_are_declared() -> None:
    readme = README.read_text(encoding="utf-8")
    assert option_table() in readme, "Run `python -m bench.option_table`: it writes the README's table anew."
    assert with_table(readme) == readme


def test_a_table_that_is_out_of_date_is_replaced_and_the_rest_stays() -> None:
    old = "before\n\n| option | is | default |\n|---|---|---|\n| `--old` | | |\n\nafter\n"
    assert with_table(old) == f"before\n\n{option_table()}\nafter\n"


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_every_key_is_an_option_of_run_and_of_plan_with_its_help_and_default(merbench: LocalRuns, verb: str) -> None:
    text = " ".join(merbench(verb, "--help").out.split())
    for key in ALL:
        assert f" {flag(key)} " in text, key
        # Where a line is folded at a dash, no space belongs.
        assert declared(key).help.replace("- ", "-") in text.replace("- ", "-"), key


def test_a_command_gets_what_it_takes_as_a_configuration() -> None:
    seen: list[object] = []
    app = typer.Typer()

    @app.command()
    @takes("models", "epochs", "keep_weights")
    def command(config: RunConfig, name: str, twice: Annotated[bool, typer.Option("--twice")] = False) -> None:
        """Do it."""
        seen.append((config, name, twice))

    app(["x", "--models", "a, b", "--models", "c", "--epochs", "1e1", "--keep-weights"], standalone_mode=False)
    app(["y", "--no-keep-weights", "--twice"], standalone_mode=False)
    assert seen == [
        (RunConfig(models=["a", "b", "c"], epochs=10, keep_weights=True), "x", False),
        (RunConfig(), "y", True),
    ]


def test_an_option_for_every_command_needs_no_other_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(declared("recipes").__dict__, "everywhere", True)

    @takes()
    def command(config: RunConfig) -> None:
        """Do it."""

    assert list(inspect.signature(command).parameters) == ["recipes", "plugins"]


def test_every_field_of_the_configuration_is_declared_as_an_option() -> None:
    assert all(isinstance(declared(key), Option) for key in RunConfig.model_fields)
