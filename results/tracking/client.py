"""Talking to MLflow: short time-outs, no chatter, and one kind of error for whatever goes wrong on its side."""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from preprocess.base.files import write_atomic
from preprocess.base.locks import lock
from preprocess.base.scoped import environment, muted

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run
    from requests import Response

CONTENT_TAG = "merbench.content"
SOURCE_NAME = "merbench"
# Without a kind, MLflow's pages open an experiment on an overview of traces, which it has none of.
KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
SQLITE = "sqlite:///"
ARTIFACT_FOLDER = "mlartifacts"

_log = logging.getLogger(__name__)

# A server that is down must cost seconds, not MLflow's default of minutes. Whoever sets these variables is obeyed.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_PROBE_SECONDS = 4
_CHATTERERS = ("mlflow", "alembic", "urllib3.connectionpool")

# What MLflow takes, or its tables have room for: SQLite holds more, the databases behind a server do not.
_MAX_TAG_CHARACTERS = 8000
_MAX_PARAM_CHARACTERS = 6000
_MAX_RUN_NAME_CHARACTERS = 250
_MAX_DATASET_DIGEST_CHARACTERS = 36


class TrackingLost(Exception):
    """MLflow could not be reached, or refused; the message is one line. The store has lost nothing."""


@dataclass(frozen=True)
class Point:
    """One value of a metric.

    Attributes
    ----------
    name : the metric's.
    value : what was measured.
    step : its place in a series.
    milliseconds : since 1970, when it was measured.
    """

    name: str
    value: float
    step: int
    milliseconds: int


@dataclass(frozen=True)
class UsedDataset:
    """A dataset that a run was scored on.

    Attributes
    ----------
    name : the dataset's.
    digest : of its content.
    rows : number of samples that were scored.
    """

    name: str
    digest: str
    rows: int


@dataclass(frozen=True)
class Experiment:
    """An experiment as MLflow holds it.

    Attributes
    ----------
    id : MLflow's number for it.
    made : milliseconds since 1970.
    tags : name -> text.
    """

    id: str
    made: int
    tags: Mapping[str, str]


@dataclass(frozen=True)
class KeptModel:
    """The weights of a run, which lie in the results: MLflow calls such a thing a logged model.

    Attributes
    ----------
    name : what it is called among the models of an experiment.
    scored : names of the run's metrics that are scores of it.
    files : path below the model's artifacts -> content.
    """

    name: str
    scored: frozenset[str]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class RunContent:
    """Everything that a run shows.

    Attributes
    ----------
    name : printed in lists of runs.
    status : as MLflow knows it.
    started : milliseconds since 1970.
    ended : milliseconds since 1970.
    tags : name -> text.
    params : name -> text.
    metrics : the values.
    files : path below the run's artifacts -> content.
    datasets : what it was scored on.
    model : its weights, where they are kept.
    """

    name: str
    status: Literal["FINISHED", "FAILED"]
    started: int
    ended: int
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Point, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    datasets: tuple[UsedDataset, ...] = ()
    model: KeptModel | None = None


@dataclass(frozen=True)
class FoundRun:
    """A run that is there already.

    Attributes
    ----------
    run_id : MLflow's name for it.
    content : its content tag; None where the run was never finished.
    """

    run_id: str
    content: str | None


class Tracker:
    """A connection to one tracking server or database.

    Parameters
    ----------
    tracking_uri : its address.

    Raises
    ------
    TrackingLost : from here and from every method, where MLflow fails.
    """

    def __init__(self, tracking_uri: str) -> None:
        self.uri = tracking_uri
        self._experiments: dict[str, str] = {}
        with environment(_ENVIRONMENT, keep=True):
            # Imported before anything is muted: the import sets the levels of MLflow's loggers.
            from mlflow import MlflowClient

        with self.alone(), asking(), _beside_the_file(tracking_uri):
            if tracking_uri.startswith(SQLITE) and not sqlite_file(tracking_uri).exists():
                _make_database(sqlite_file(tracking_uri))
            if tracking_uri.startswith(SQLITE):
                _open_once(sqlite_file(tracking_uri))
            self._client = MlflowClient(tracking_uri=tracking_uri)
            if tracking_uri.startswith(SQLITE):
                # The first question makes MLflow find out whether the tables are of another version.
                self._client.get_experiment_by_name("Default")
            else:
                _probe(tracking_uri)

    @functools.cached_property
    def _has_models(self) -> bool:
        """Whether what is connected to knows logged models. A server is asked when there is the first one."""
        return self.uri.startswith(SQLITE) or not _is_of_mlflow_2(self.uri)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes that use the same database file waiting while the block looks and then writes.

        A server has no such lock: who writes there looks afterwards whether another did the same.
        """
        if not self.uri.startswith(SQLITE):
            yield
            return
        path = sqlite_file(self.uri)
        with open(path.with_name(f"{path.name}.lock"), "ab") as file:
            # Some shared folders have no locks; there it is as with a server.
            lock(file)
            yield

    def find(self, experiment: str, tag: str, value: str) -> list[FoundRun]:
        """Return the runs of an experiment that carry a tag, by their names; none where there is no such experiment."""
        with asking():
            known = self._experiment(experiment)
            if known is None:
                return []
            runs = self._client.search_runs([known], filter_string=f"tags.`{tag}` = '{value}'")
            found = [FoundRun(run.info.run_id, run.data.tags.get(CONTENT_TAG)) for run in runs]
            return sorted(found, key=lambda run: run.run_id)

    def find_all(self, experiment: str, tag: str) -> dict[str, list[FoundRun]]:
        """Return the runs of an experiment by the value of a tag that they carry, those of a value by their names."""
        found: dict[str, list[FoundRun]] = {}
        with asking():
            for run in self._runs(experiment):
                if tag in run.data.tags:
                    one = FoundRun(run.info.run_id, run.data.tags.get(CONTENT_TAG))
                    found.setdefault(run.data.tags[tag], []).append(one)
        return {value: sorted(runs, key=lambda run: run.run_id) for value, runs in found.items()}

    def experiment(self, name: str) -> Experiment | None:
        """Return an experiment with its tags; None where there is none of this name."""
        with asking():
            known = self._experiment(name)
            if known is None:
                return None
            found = self._client.get_experiment(known)
            return Experiment(found.experiment_id, int(found.creation_time or 0), dict(found.tags))

    def tag_experiment(self, known: Experiment, tags: Mapping[str, str]) -> None:
        """Set those of an experiment's tags that are not so yet."""
        with asking():
            for name, value in tags.items():
                if known.tags.get(name) != value:
                    self._client.set_experiment_tag(known.id, name, value)

    def tag_runs(self, experiment: str, identity: str, tag: str, values: Mapping[str, str]) -> None:
        """Set a tag of an experiment's runs where it is not so yet. values : of the tag ``identity`` -> the tag's."""
        with asking():
            for run in self._runs(experiment):
                value = values.get(run.data.tags.get(identity, ""))
                if value is not None and run.data.tags.get(tag) != value:
                    self._client.set_tag(run.info.run_id, tag, value)

    def remove(self, run_id: str) -> None:
        """Delete a run with its model, as its user interface does (`mlflow gc` frees the space)."""
        with asking():
            outputs = self._client.get_run(run_id).outputs
            for model in outputs.model_outputs if outputs else ():
                self._client.delete_logged_model(model.model_id)
            self._client.delete_run(run_id)

    def write(self, experiment: str, identity: tuple[str, str], content: RunContent, digest: str) -> None:
        """Make a run, and the experiment where there is none.

        Parameters
        ----------
        experiment : its name.
        identity : the tag and its value that ``find`` looks for.
        content : what the run shows.
        digest : of what it shows. The tag that holds it is set last: a run without it was left half-written by a
            process that was killed.
        """
        from mlflow.entities import Metric, Param

        with asking():
            known = self._experiment(experiment) or self._create_experiment(experiment)
            tags = {name: value[:_MAX_TAG_CHARACTERS] for name, value in (*content.tags.items(), identity)}
            name = content.name[:_MAX_RUN_NAME_CHARACTERS]
            run_id = self._client.create_run(known, content.started, tags, run_name=name).info.run_id
            model = content.model
            model_id = self._make_model(known, run_id, model, content.params) if model and self._has_models else None
            scored = model.scored if model else frozenset()
            self._client.log_batch(
                run_id,
                metrics=[
                    Metric(p.name, p.value, p.milliseconds, p.step, model_id=model_id if p.name in scored else None)
                    for p in content.metrics
                ],
                params=[Param(name, value[:_MAX_PARAM_CHARACTERS]) for name, value in content.params.items()],
            )
            if content.datasets:
                # Servers of MLflow 2 refuse to be told of none.
                self._client.log_inputs(run_id, [_dataset_input(dataset) for dataset in content.datasets])
            with _written({**content.files, **(model.files if model and not model_id else {})}) as folder:
                self._client.log_artifacts(run_id, folder)
            self._client.set_terminated(run_id, content.status, content.ended)
            self._client.set_tag(run_id, CONTENT_TAG, digest)

    def _make_model(self, experiment: str, run_id: str, model: KeptModel, params: Mapping[str, str]) -> str:
        """Make the logged model of a run, and return its name among those of MLflow."""
        from mlflow.entities import LoggedModelOutput

        short = {name: value[:_MAX_PARAM_CHARACTERS] for name, value in params.items()}
        made = self._client.create_logged_model(experiment, model.name, run_id, params=short)
        with _written(model.files) as folder:
            self._client.log_model_artifacts(made.model_id, folder)
        self._client.finalize_logged_model(made.model_id, "READY")
        self._client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 0)])
        return made.model_id

    def _runs(self, experiment: str) -> Iterator[Run]:
        """Yield all runs of an experiment; none where there is no such experiment."""
        known, page = self._experiment(experiment), None
        while known is not None:
            runs = self._client.search_runs([known], page_token=page)
            yield from runs
            page = runs.token
            if not page:
                return

    def _experiment(self, name: str) -> str | None:
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                return None
            if found.lifecycle_stage == "deleted":
                # Its name stays taken, so it can only be brought back.
                self._client.restore_experiment(found.experiment_id)
            self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _create_experiment(self, name: str) -> str:
        # A server decides by itself where artifacts lie; for a database file they lie beside it.
        location = None
        if self.uri.startswith(SQLITE):
            location = (sqlite_file(self.uri).parent / ARTIFACT_FOLDER).as_uri()
        self._experiments[name] = self._client.create_experiment(
            name, artifact_location=location, tags={KIND_TAG: KIND}
        )
        return self._experiments[name]


@contextmanager
def _written(files: Mapping[str, bytes]) -> Iterator[str]:
    """Give a folder that holds the files, for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="merbench-") as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield folder


def _dataset_input(used: UsedDataset) -> DatasetInput:
    """Return a dataset in MLflow's form. Where it lies is nobody's business; the code that read it is its source."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    digest = used.digest[:_MAX_DATASET_DIGEST_CHARACTERS]
    source = json.dumps({"tags": {"mlflow.source.name": SOURCE_NAME}})
    dataset = Dataset(used.name, digest, "code", source, profile=json.dumps({"num_rows": used.rows}))
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "evaluation")])


def _make_database(file: Path) -> None:
    """Write a database file with MLflow's tables that is there whole or not at all.

    MLflow makes them in the place itself, by forty changes to an old form, which takes a second and more. It refuses
    the file of a run that was killed meanwhile.
    """
    from mlflow.store.db import utils

    with tempfile.TemporaryDirectory(prefix="merbench-") as folder:
        made = Path(folder, file.name)
        engine = utils.create_sqlalchemy_engine(sqlite_uri(made))
        utils._initialize_tables(engine)
        engine.dispose()
        write_atomic(file, made.read_bytes())


def _open_once(file: Path) -> None:
    """Raise what SQLite says of a file that it cannot open: MLflow would try again and again, for 100 s."""
    with closing(sqlite3.connect(file)) as connection:
        try:
            connection.execute("PRAGMA schema_version")
        except sqlite3.OperationalError as error:
            # Of a file that is only locked, MLflow waits for its turn.
            if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise


def sqlite_uri(file: Path) -> str:
    """Return the address of a database file, in which ``%`` begins an escape and ``?`` the options."""
    return SQLITE + str(file).replace("%", "%25").replace("?", "%3F")


def sqlite_file(uri: str) -> Path:
    """Return the file that an address ``sqlite:///...`` names."""
    return Path(unquote(uri.removeprefix(SQLITE)))


def shown_uri(uri: str) -> str:
    """Return the address without a user's name and password, for messages."""
    parts = urlsplit(uri)
    _, found, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)) if found else uri


@contextmanager
def _beside_the_file(tracking_uri: str) -> Iterator[None]:
    """Keep MLflow from making anything elsewhere than beside a database file.

    It makes the file's folder by the address, escapes and all, instead of by the path: that folder is removed while it
    is empty, also where a run that was killed has left it or another thread has made it. And it names a folder below
    the current one in the database, by a statement that a quote or colon in its name spoils.
    """
    if not tracking_uri.startswith(SQLITE):
        yield
        return
    as_written = Path(tracking_uri.removeprefix(SQLITE)).parent
    folder = sqlite_file(tracking_uri).parent
    wrong = [one for one in (as_written, *as_written.parents) if one not in (folder, *folder.parents)]
    try:
        with environment({"_MLFLOW_SERVER_ARTIFACT_ROOT": (folder / ARTIFACT_FOLDER).as_uri()}):
            yield
    finally:
        for one in wrong:
            with suppress(OSError):
                one.rmdir()


def _probe(tracking_uri: str) -> None:
    """Ask the server for anything: an answer of any kind but a gateway's error shows that it is there."""
    response = _asked(tracking_uri, "/health")
    if response.status_code >= 500:
        raise TrackingLost(f"its answer is HTTP status {response.status_code}")


def _is_of_mlflow_2(tracking_uri: str) -> bool:
    """Return whether the server says that it is one of MLflow 1 or 2, which know no logged models."""
    response = _asked(tracking_uri, "/version")
    return response.status_code == 200 and bool(re.match(r"[12]\.\d", response.text))


def _asked(tracking_uri: str, path: str) -> Response:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    creds = get_default_host_creds(tracking_uri)
    return http_request(creds, path, "GET", timeout=_PROBE_SECONDS, max_retries=0, raise_on_status=False)


@contextmanager
def asking() -> Iterator[None]:
    """Let the block ask MLflow: with short time-outs, quietly, and with one kind of error for whatever goes wrong."""
    # Migrations and retries are nobody's business: errors come as exceptions anyway.
    chatterers = () if "MLFLOW_LOGGING_LEVEL" in os.environ else _CHATTERERS
    try:
        with environment(_ENVIRONMENT, keep=True), muted(*chatterers):
            yield
    except TrackingLost:
        raise
    except Exception as error:
        # The stores behind MLflow are plug-ins (databases, object stores, proxies): their errors share no base class.
        _log.debug("MLflow failed", exc_info=True)
        raise TrackingLost(_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    """Return the innermost cause in a line: under MLflow's wrapping lies a refused connection or a full disk."""
    while error.__cause__ or (error.__context__ and not error.__suppress_context__):
        error = error.__cause__ or error.__context__ or error
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    text = first if type(error).__name__ in first else f"{type(error).__name__}: {first}"
    return text if len(text) <= 300 else f"{text[:300]} ..."
