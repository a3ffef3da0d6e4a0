"""Where the folds of a run start from (``--pretrain``): given networks, or ones that leave held-out people out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config import RunConfig, results_root
from bench.plan.pretraining import MacroData, Wanted
from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.study.unmet import check_unmet, unmet
from mer_models._parts.weights_file import by_content
from mer_models.registry import MODELS, ModelInfo
from preprocess.base.errors import DataError, UsageError
from preprocess.base.hashing import digest
from preprocess.labels.tasks import TASKS, Task
from preprocess.shards.prepared import PreparedDataset
from results.store.model_folder import read_model
from results.store.pretrained import SHORT, Pretrained, PretrainedStore, facts_of
from results.store.watched import INNER

if TYPE_CHECKING:
    from bench.engine.selection import Selection
    from bench.plan.cards import Setting
    from bench.plan.request import RequestedModel

AUTO = "auto"
SEED = 0
"""Of the pretrainings that a run makes itself: the same for all of its seeds, whose mean is one model's score."""


@dataclass(frozen=True)
class Given:
    """A network that was pretrained before.

    Attributes
    ----------
    facts : what must be known of it.
    folder : where it lies, if that is not in the results.
    """

    facts: Pretrained
    folder: Path | None = None


@dataclass(frozen=True)
class Asked:
    """What ``--pretrain`` asks for.

    Attributes
    ----------
    auto : whether networks are pretrained on the macro-expressions of the data, without those whom a fold holds out.
    task : what they are pretrained for; None for the study's own task.
    given : model -> a network that was pretrained before.
    """

    auto: bool = False
    task: Task | None = None
    given: Mapping[str, Given] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.auto or bool(self.given)


def asked_starts(config: RunConfig, infos: Sequence[ModelInfo], rules: Sequence[Selection]) -> Asked:
    """Look up what ``--pretrain`` says.

    Parameters
    ----------
    config : the run.
    infos : its models.
    rules : its selections.

    Raises
    ------
    UsageError : there is no such network, it is of a model that is not in the run, or a network of the run has none.
    StoreError : it was edited or is damaged.
    """
    if not config.pretrain:
        return Asked()
    if tuned := [rule.name for rule in rules if rule.watches == INNER]:
        raise UsageError(
            f"--pretrain with --selection {','.join(tuned)}: a tuned study tries several forms of a network, and a "
            "pretrained one has one. Run it without --pretrain, and give what it chose with --set."
        )
    networks = [info.name for info in infos if info.kind == "network"]
    if not networks:
        named = ", ".join(info.name for info in infos)
        raise UsageError(f"--pretrain: only networks start from trained weights, and {named} are estimators.")
    if any(text.partition(":")[0] == AUTO for text in config.pretrain):
        if len(config.pretrain) > 1:
            raise UsageError(f"--pretrain {','.join(config.pretrain)}: auto stands alone. Leave the others out.")
        name = config.pretrain[0].partition(":")[2]
        return Asked(auto=True, task=TASKS.get(name) if name else None)
    given: dict[str, Given] = {}
    for text in config.pretrain:
        one = _given(text, results_root(config.results))
        model = one.facts.model
        if model not in networks:
            raise UsageError(
                f"--pretrain {text} is a pretrained {model} ({one.facts.described}), and the networks of this run are "
                f"{', '.join(networks)}. Give --models {model}, or a pretrained network of another model."
            )
        if model in given:
            raise UsageError(f"--pretrain {','.join(config.pretrain)}: two are of {model}; give one a model.")
        given[model] = one
    if missing := [name for name in networks if name not in given]:
        raise UsageError(
            f"--pretrain {','.join(config.pretrain)}: no pretrained network is given for {', '.join(missing)}. Leave "
            f"that out (--models {','.join(given)}), or pretrain it, too: `merbench pretrain {missing[0]}`."
        )
    return Asked(given=given)


def bring(asked: Asked, results: str) -> None:
    """Copy given networks into the results, where every worker finds them.

    Parameters
    ----------
    asked : what ``--pretrain`` asks for.
    results : root of the results.
    """
    for one in asked.given.values():
        if one.folder:
            PretrainedStore(results).copy_in(one.folder, one.facts.key)


class Starts:
    """Finds out where each fold of a plan starts.

    Parameters
    ----------
    asked : what ``--pretrain`` asks for.
    models : those of the run.
    prepared : all datasets of the run.
    results : root of the results.

    Attributes
    ----------
    wanted : key -> a pretraining that is still to be made.
    """

    def __init__(
        self, asked: Asked, models: Sequence[RequestedModel], prepared: Sequence[PreparedDataset], results: str
    ) -> None:
        self._asked = asked
        self._models = {model.info.name: model for model in models}
        self._macro = MacroData(prepared) if asked.auto else None
        self._store = PretrainedStore(results)
        self._found: dict[tuple[Any, ...], Pretrained] = {}
        self._fitting: set[str] = set()
        self.wanted: dict[str, Wanted] = {}

    def of(self, setting: Setting, folds: Sequence[Fold], data: StudyData) -> tuple[Pretrained, ...]:
        """Return where each fold starts; () where that is at random.

        Parameters
        ----------
        setting : of the study.
        folds : its folds.
        data : its samples.

        Raises
        ------
        UsageError : a given network does not fit the model as the run sets it.
        HonestyError : a given network has met somebody whom a fold holds out.
        DataError : nobody is left to pretrain on.
        """
        if not self._asked or setting.info.kind != "network":
            return ()
        if self._macro:
            starts = tuple(self._without(self._macro, setting, fold, data) for fold in folds)
        else:
            one = self._asked.given[setting.info.name]
            self._check_fits(one, setting)
            starts = (one.facts,) * len(folds)
        for fold, start in zip(folds, starts, strict=True):
            check_unmet(fold, data.subjects, start)
        return starts

    def _without(self, macro: MacroData, setting: Setting, fold: Fold, data: StudyData) -> Pretrained:
        """Return a network that has met nobody whom the fold holds out."""
        info, task = setting.info, self._asked.task or setting.task
        shared = macro.sharing(info, task, data.sample_ids[fold.test].tolist())
        people = tuple(one for one in unmet(macro.people(info, task), fold, data.subjects) if one not in shared)
        known = (info.name, task.name, people)
        if known not in self._found:
            values = self._models[info.name].values_in(task)
            wanted = macro.wanted(info, values, task, SEED, people)
            facts = None if wanted.unmade else self._store.facts(wanted.key)
            if facts is None:
                self.wanted[wanted.key] = wanted
            self._found[known] = facts or wanted.untrained()
        return self._found[known]

    def _check_fits(self, given: Given, setting: Setting) -> None:
        info, values, n_classes = setting.info, setting.values, len(setting.task.classes)
        params = {name: values[name] for name in info.params}
        case = digest([info.name, {name: by_content(value) for name, value in params.items()}, n_classes])
        if case in self._fitting:
            return
        self._fitting.add(case)
        stored = read_model(given.folder) if given.folder else self._store.read(given.facts.key)
        from bench.engine.starting import check_fits, head_of, shapes_of

        try:
            check_fits(shapes_of(info, params, n_classes), head_of(info, params, n_classes), stored.weights)
        except DataError as error:
            there = stored.configuration["hyperparameters"]
            other = [
                f"{name} is {value!r} here and {there[name]!r} there"
                for name, value in params.items()
                if name in there and there[name] != by_content(value)
            ]
            raise UsageError(
                f"--pretrain {given.facts.key[:SHORT]}: these weights do not fit {info.name} as this run sets it: "
                f"{error}. {'; '.join(other) or 'Its code has changed since'}. Give the same settings (--set, "
                "--preset) to both, or pretrain again."
            ) from error


def _given(text: str, results: str) -> Given:
    path = Path(text).expanduser()
    if path.exists() or "/" in text:
        stored = read_model(path)
        facts = facts_of(stored.key, stored, stored.sha256)
        if MODELS.get(facts.model).kind != "network":
            raise UsageError(f"--pretrain {text}: {facts.model} is an estimator, which has no weights to start from.")
        return Given(facts, path)
    store = PretrainedStore(results)
    found = store.facts(store.find(text))
    assert found is not None
    return Given(found)
