"""A fitted model in MLflow's registry: with a signature, so that `mlflow models serve` answers."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from preprocess.base.errors import StoreError, UsageError
from preprocess.base.scoped import environment
from results.store.model_folder import read_model
from results.tracking.client import Tracker, TrackingLost, asking, shown_uri

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

EXPERIMENT = "merbench models"
"""The experiment that holds fitted models."""


def check_name(name: str, features: Sequence[str]) -> None:
    """Check that MLflow can register a model under a name.

    Parameters
    ----------
    name : the name.
    features : what the model is shown.

    Raises
    ------
    UsageError : it cannot, or the model takes no features, so that nothing can be sent to it.
    """
    if not features:
        raise UsageError(f"--register {name}: the model takes no features, so that there is nothing to serve.")
    if not name.strip() or any(mark in name for mark in "/:.%\"'"):
        raise UsageError(f"--register {name}: expected a name without / : . % and quotes.")


def register_model(folder: Path, name: str, uri: str, loader: str) -> str:
    """Put the model of a folder into MLflow's registry and return its address there, ``models:/NAME/VERSION``.

    Parameters
    ----------
    folder : as ``merbench fit`` wrote it.
    name : of the registered model; one that is there gets a new version.
    uri : of the tracking server or database.
    loader : the module whose ``_load_pyfunc`` opens such a folder where the model is served.

    Raises
    ------
    StoreError : MLflow cannot be reached, or refused.
    """
    stored = read_model(folder)
    configuration = stored.configuration
    params = {"model": configuration["label"], "task": configuration["task"]["name"], "hash": stored.key}
    try:
        with tempfile.TemporaryDirectory(prefix="merbench-mlflow-") as made:
            _save(Path(made) / "model", folder, loader, _signature(configuration))
            version = _Registry(uri).register(name, Path(made) / "model", params)
    except TrackingLost as error:
        raise StoreError(
            f"MLflow at {shown_uri(uri)} did not take the model: {error}. The folder {folder} is whole; it can be "
            "registered later."
        ) from error
    return f"models:/{name}/{version}"


class _Registry(Tracker):
    """A tracker that registers models."""

    def register(self, name: str, folder: Path, params: Mapping[str, str]) -> str:
        """Make a version of a registered model, and the registered model where there is none; return the version."""
        # The registry looks the model up at the address that the process has, whatever this client was given.
        with self.alone(), asking(), environment({"MLFLOW_TRACKING_URI": self.uri}):
            experiment = self._experiment(EXPERIMENT) or self._create_experiment(EXPERIMENT)
            made = self._client.create_logged_model(experiment, name, params=dict(params))
            self._client.log_model_artifacts(made.model_id, str(folder))
            self._client.finalize_logged_model(made.model_id, "READY")
            if not self._client.search_registered_models(f"name = '{name}'"):
                self._client.create_registered_model(name, description="Fitted by merbench fit.")
            found = self._client.create_model_version(name, made.artifact_location, model_id=made.model_id)
            return str(found.version)


def _save(path: Path, folder: Path, loader: str, signature: ModelSignature) -> None:
    with asking(), warnings.catch_warnings():
        import mlflow.pyfunc

        # It asks for an example of an input: the signature says what that would.
        warnings.simplefilter("ignore", UserWarning)

        # Where it is served, merbench is installed: no requirements are guessed, which would load the model.
        mlflow.pyfunc.save_model(
            path, loader_module=loader, data_path=str(folder), signature=signature, pip_requirements=["mlflow"]
        )


def _signature(configuration: Mapping[str, Any]) -> ModelSignature:
    """Return what is sent, a tensor a feature, and what comes back, a class and a number for each class."""
    with asking():
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema, TensorSpec

        inputs: list[ColSpec | TensorSpec] = [
            TensorSpec(np.dtype(one["dtype"]), (-1, *one["shape"]), name)
            for name, one in configuration["features"].items()
        ]
        outputs: list[ColSpec | TensorSpec] = [ColSpec("string", "predicted")]
        outputs += [ColSpec("double", name) for name in configuration["task"]["classes"]]
        return ModelSignature(Schema(inputs), Schema(outputs))
