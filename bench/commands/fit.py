"""``merbench fit``: train a model on everybody, for use, and write it as one folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.commands.gathering import prepare_features, read_sources
from bench.config import RunConfig, results_root
from bench.console.interrupts import exit_status
from bench.console.say import say
from bench.engine.everybody import Trained, train_on_everybody
from bench.plan.fitting import configuration, expected_score, fit_request, scored_by
from bench.plan.plan import PlannedTraining, make_plan
from bench.plan.request import Request
from bench.study.data import StudyData
from bench.workers.devices import chosen_device
from bench.workers.feature_memory import feature_memory, larger_than_memory
from bench.workers.node_blocks import blocks_of_a_command
from bench.workers.provenance import git_state, package_versions
from bench.workers.ray_session import RaySession
from preprocess.base.errors import MerError, UsageError
from preprocess.recipes import load_recipes
from preprocess.shards.prepared import PreparedDataset
from results.store.model_folder import check_free, write_model
from results.store.outcome_store import MissingStore, OutcomeStore
from results.tracking.client import shown_uri
from results.tracking.registered import check_name, register_model
from results.tracking.sync import open_tracking
from results.tracking.writer import check_address
from results.views.model_card import model_card, score_lines

PACKAGES = ("torch", "numpy", "scikit-learn", "opencv-contrib-python-headless")


SERVING = "bench.commands.serving"
"""The module that opens a model's folder where MLflow serves it."""


def fit(
    config: RunConfig, model: str, task: str | None, out: Path, console: Console, register: str | None = None
) -> int:
    """Train a model on everybody and write its folder.

    Parameters
    ----------
    config : the data, the model's settings, where the results lie.
    model : the model's name.
    task : the label scheme; None for the one that the configuration names.
    out : the folder, which appears when it is complete.
    console : where progress and the score to expect are shown.
    register : the name of the registered model that MLflow gets; None for none.

    Returns
    -------
    The exit status.

    Raises
    ------
    MerError : something must be mended first; nothing is written then.
    """
    check_free(out)
    for file in config.recipes:
        load_recipes(file)
    request = fit_request(config, model, task)
    address = _address(request, register)
    device = chosen_device(config.device)
    with RaySession(config.address, config.workers, lambda text: say(console, text)) as session:
        try:
            prepared = prepare_features(read_sources(request.config, console), request, session, console)
            request = scored_by(request, prepared)
            store = _store(request.config)
            plan = make_plan(request, prepared, store)
            for note in plan.notes:
                say(console, note)
            (planned,) = plan.trainings
            data = plan.data[planned.training.data]
            say(console, f"{planned.studies[0].card.label}: {_told(data)}")
            trained = _trained(planned, data, device, config.feature_memory, console)
        except KeyboardInterrupt:
            say(console, "Interrupted. No model was written; features are kept.")
            return exit_status()
    told = _configuration(request, planned, data, prepared, trained, store, device)
    key = write_model(out, told, trained.weights, model_card(told))
    for paragraph in score_lines(told["expected"], told["task"]["multilabel"]):
        say(console, f"\n{paragraph}")
    say(console, f"\nModel: {out} ({key[:12]}); its card: {out / 'MODEL_CARD.md'}")
    say(console, f"  merbench predict VIDEO --model {shlex.quote(str(out))}    what a recording of yours shows")
    if register is not None and address is not None:
        _register(out, register, address, config, console)
    return 0


def _address(request: Request, register: str | None) -> str | None:
    """Return where MLflow is, if the model is to be registered; UsageError where it cannot be."""
    if register is None:
        return None
    config = request.config
    check_name(register, request.models[0].info.inputs)
    address = check_address(config.tracking_uri, results_root(config.results))
    if address is None:
        raise UsageError(f"--register {register}: there is no MLflow. Name one with --tracking-uri.")
    return address


def _register(folder: Path, name: str, address: str, config: RunConfig, console: Console) -> None:
    open_tracking(address, results_root(config.results))
    registered = register_model(folder, name, address, SERVING)
    say(console, f"MLflow: {registered}; it answers, where merbench is installed, with")
    served = f"mlflow models serve --model-uri {shlex.quote(registered)} --env-manager local"
    say(console, f"  MLFLOW_TRACKING_URI={shlex.quote(shown_uri(address))} {served}")


def _store(config: RunConfig) -> OutcomeStore | None:
    try:
        return OutcomeStore(results_root(config.results))
    except MissingStore:
        return None


def _told(data: StudyData) -> str:
    return f"training on all {len(data)} clips of {len(set(data.subjects.tolist()))} people"


def _trained(planned: PlannedTraining, data: StudyData, device: str, asked: int | None, console: Console) -> Trained:
    """Return the trained model. asked : ``--feature-memory``."""
    card, info = planned.training.cards[0], planned.info
    threads = info.resources.cpus
    memory = feature_memory(asked, info, device, threads)
    if note := larger_than_memory(info, data, memory):
        say(console, note)
    try:
        with blocks_of_a_command() as open_block:
            opened = data.opened(open_block)
            return train_on_everybody(info, card.hyperparameters, opened, card.seed, device, threads, memory)
    except MerError:
        raise
    except Exception as error:
        # A bug of the model, or a loss that is not finite.
        raise MerError(
            f"Training {card.label} failed: {type(error).__name__}: {error}. Nothing was written. `merbench run` with "
            "the same model shows where; other settings (--set) may help."
        ) from error


def _configuration(
    request: Request,
    planned: PlannedTraining,
    data: StudyData,
    prepared: list[PreparedDataset],
    trained: Trained,
    store: OutcomeStore | None,
    device: str,
) -> dict[str, Any]:
    card = planned.training.cards[0]
    group = [dataset for dataset in prepared if dataset.name in set(data.datasets.tolist())]
    made = {
        "seconds": round(trained.seconds, 1),
        "device": device,
        "git": git_state(),
        "packages": package_versions(PACKAGES),
    }
    return {
        **configuration(request, card, data, group, trained),
        "expected": expected_score(card, store, request),
        "provenance": made,
    }
