"""The configuration of a run: one typed object behind the command line, a YAML file and Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from preprocess.base.errors import UsageError, did_you_mean

Preset = Literal["smoke", "quick", "full"]
Overwrite = Literal["missing", "failed", "all"]

PRESET_EPOCHS: dict[str, int | None] = {"smoke": 2, "quick": 100, "full": None}
"""Most epochs a preset trains, with the models' ``quick`` values; None leaves every recipe as its paper has it."""

DEFAULT_MODELS = ["majority", "flow_svm", "ststnet", "off_apexnet"]
"""The models of a run that names none: two estimators and the two fastest networks."""

DEFAULT_FEATURES = ["flow_uvs_28"]
"""What ``DEFAULT_MODELS`` are trained on, told without importing them: that takes longer than looking at 500 clips."""


class RunConfig(BaseModel):
    """Everything ``merbench run`` can be told. Lists hold names or shell patterns; ``set`` maps model.key to a value.

    data : sources as ``PATH`` or ``ADAPTER=PATH``; empty for the embedded synthetic default.
    preset : None chooses ``quick`` for the synthetic default and ``full`` for real data.
    epochs : overrides the preset's and every recipe's epochs. workers : most packs at a time (None: as many as fit).
    recipes : YAML files of more features. device : ``auto`` takes GPUs where there are any.
    tracking_uri : of an MLflow server or database; ``off`` for none.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    data: list[str] = []
    datasets: list[str] = ["*"]
    models: list[str] = DEFAULT_MODELS
    tasks: list[str] = ["megc3"]
    protocols: list[str] = ["loso", "cde"]
    selection: list[str] = ["last"]
    seeds: list[int] = [0]
    epochs: int | None = Field(default=None, ge=1)
    set: dict[str, Any] = {}
    preset: Preset | None = None
    recipes: list[str] = []
    results: str = "runs"
    tracking_uri: str | None = None
    address: str | None = None
    overwrite: Overwrite = "missing"
    keep_weights: bool = False
    workers: int | None = Field(default=None, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, seeds: list[int]) -> list[int]:
        if not seeds:
            raise ValueError("needs at least one seed")
        if any(seed < 0 for seed in seeds):
            raise ValueError("seeds must be 0 or more")
        return list(dict.fromkeys(seeds))

    @field_validator("datasets", "models", "tasks", "protocols", "selection")
    @classmethod
    def _not_empty(cls, names: list[str]) -> list[str]:
        if not names:
            raise ValueError("needs at least one name")
        return names

    def resolved_preset(self) -> Preset:
        """Return the preset in force."""
        return self.preset or ("full" if self.data else "quick")


def load_config(file: Path | None, options: dict[str, Any]) -> RunConfig:
    """Return the configuration of a YAML file with the command line's options on top (None: not given).

    Raises UsageError that names the file or option, the key, what was given and what was expected.
    """
    values: dict[str, Any] = _read_yaml(file) if file else {}
    origin = dict.fromkeys(values, f"{file}")
    for key, value in options.items():
        if value is not None:
            values[key] = (
                {**values.get(key, {}), **value} if key == "set" and isinstance(values.get(key), dict) else value
            )
            origin[key] = "the command line"
    unknown = [key for key in values if key not in RunConfig.model_fields]
    if unknown:
        raise UsageError(
            f"{origin[unknown[0]]}: unknown key {unknown[0]!r}. {did_you_mean(unknown[0], RunConfig.model_fields)}"
        )
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise UsageError(_explain(error, origin)) from None


def parse_settings(items: list[str]) -> dict[str, Any]:
    """Return ``model.key=value`` items as a mapping; values are read as YAML (``0.1``, ``true``, ``adam``)."""
    settings: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or "." not in name:
            raise UsageError(f"--set {item!r}: expected MODEL.KEY=VALUE, for example --set ststnet.lr=1e-4.")
        settings[name.strip()] = _scalar(text)
    return settings


def results_root(results: str) -> str:
    """Return the results folder or URI made absolute.

    Raises UsageError for a relative folder inside a Ray job: it would lie in the job's temporary copy of the code.
    """
    if "://" in results:
        return results
    if not os.path.isabs(os.path.expanduser(results)) and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        raise UsageError(
            f"--results {results!r} is relative, and this is a Ray job: it would be written into the job's temporary "
            "working folder and vanish with it. Give an absolute folder that all nodes share, or a URI such as "
            "s3://bucket/path."
        )
    return str(Path(results).expanduser().absolute())


def _scalar(text: str) -> Any:
    try:
        return yaml.safe_load(text) if text.strip() else ""
    except yaml.YAMLError:
        # Something like "{": a text that no hyper-parameter of another type will take.
        return text


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {file}: cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {file}: is not valid YAML: {' '.join(str(error).split())}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"--config {file}: expected keys and values at the top level, found {type(value).__name__}.")
    return {str(key).replace("-", "_"): entry for key, entry in value.items()}


def _explain(error: ValidationError, origin: dict[str, str]) -> str:
    lines = []
    for problem in error.errors():
        path = [str(part) for part in problem["loc"]]
        key = path[0] if path else "?"
        message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        given = "" if isinstance(problem["input"], dict) and len(path) == 0 else f"given {problem['input']!r}, "
        lines.append(f"{origin.get(key, 'configuration')}: {'.'.join(path)}: {given}{message}.")
    return "\n".join(lines)
