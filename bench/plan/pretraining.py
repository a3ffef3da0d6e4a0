"""Pretraining on macro-expressions: what is trained on whom, under which key, and what its folder tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.plan import hyperparameters
from bench.plan.cards import feature_ingredient, plugin_code
from bench.study.assemble import assemble, labelled
from bench.study.data import StudyData
from bench.study.folds import classes_shown
from mer_models._parts.weights_file import by_content
from mer_models.registry import ModelInfo
from preprocess.base.code import code_fingerprint
from preprocess.base.errors import DataError, Unfit, UsageError
from preprocess.base.hashing import digest
from preprocess.labels.tasks import Task, tasks_of
from preprocess.shards.prepared import PreparedDataset
from results.store.pretrained import Pretrained

ENGINE = Path(__file__).parents[1] / "engine" / "pretraining.py"
"""The file from which the code that decides a pretrained network's weights is followed through its imports."""


@dataclass(frozen=True)
class Wanted:
    """One pretraining.

    Attributes
    ----------
    info : the network.
    values : its hyper-parameters.
    task : the label scheme.
    seed : all random draws come from it.
    group : the datasets of macro-expressions.
    data : all their samples with a label.
    rows : numbers of the samples that are trained on.
    left_out : the people who are not, because a fold holds them out.
    """

    info: ModelInfo
    values: dict[str, Any]
    task: Task
    seed: int
    group: tuple[PreparedDataset, ...]
    data: StudyData
    rows: np.ndarray
    left_out: tuple[str, ...] = ()

    @cached_property
    def ingredients(self) -> dict[str, Any]:
        """What the weights depend on; no path, host or number of workers is in it."""
        info, data = self.info, self.data
        samples = (column[self.rows].tolist() for column in (data.sample_ids, data.subjects, data.labels))
        found = {
            "kind": "pretraining",
            "model": info.name,
            "hyperparameters": {name: by_content(value) for name, value in self.values.items()},
            "model_code": code_fingerprint(info.file),
            "engine_code": code_fingerprint(ENGINE),
            "features": {name: feature_ingredient(name, list(self.group)) for name in info.features},
            "layouts": {name: data.layouts[name].as_json() for name in info.features},
            "task": {"name": self.task.name, "classes": list(self.task.classes)},
            "samples": digest(list(zip(*samples, strict=True))),
            "seed": self.seed,
        }
        if data.action_units is not None:
            found["action_units"] = digest(data.action_units[self.rows].tolist())
        if code := plugin_code("last", self.values):
            found["plug_in_code"] = code
        return found

    @cached_property
    def key(self) -> str:
        """The sha256 of the ingredients: equal work has an equal key, on any machine."""
        return digest(self.ingredients)

    @property
    def unmade(self) -> list[str]:
        """The features that are not made yet of some dataset (a dry run): the key is not the final one."""
        return [
            name for name, of in self.ingredients["features"].items() if not all(one["content"] for one in of.values())
        ]

    @property
    def people(self) -> list[str]:
        """The subjects who are trained on, sorted."""
        return sorted(set(self.data.subjects[self.rows].tolist()))

    @property
    def label(self) -> str:
        """The model's name with the hyper-parameters that were changed."""
        changed = hyperparameters.changed(self.info, self.values, len(self.task.classes))
        told = ",".join(f"{name}={value}" for name, value in sorted(changed.items()))
        return f"{self.info.name}[{told}]" if told else self.info.name

    def untrained(self) -> Pretrained:
        """Return what is known before it is trained."""
        return Pretrained(
            key=self.key,
            sha256="",
            model=self.info.name,
            task=self.task.name,
            datasets=tuple(sorted(dataset.name for dataset in self.group)),
            people=tuple(self.people),
            samples=len(self.rows),
            synthetic=any(dataset.synthetic for dataset in self.group),
        )

    def configuration(self) -> dict[str, Any]:
        """Return what the network's folder tells before it is trained, in the form of a fitted model's."""
        data, rows = self.data, self.rows
        labels = data.labels[rows]
        counts = labels.sum(axis=0) if data.multilabel else np.bincount(labels, minlength=len(data.classes))
        of = data.datasets[rows]
        return {
            "model": self.info.name,
            "label": self.label,
            "hyperparameters": {name: by_content(value) for name, value in self.values.items()},
            "task": {"name": self.task.name, "classes": list(data.classes), "multilabel": data.multilabel},
            "trained_on": {
                "datasets": {
                    dataset.name: {
                        "samples": int((of == dataset.name).sum()),
                        "people": len(set(data.subjects[rows][of == dataset.name].tolist())),
                        "fingerprint": dataset.fingerprint,
                    }
                    for dataset in self.group
                    if (of == dataset.name).any()
                },
                "people": self.people,
                "samples": len(rows),
                "class_counts": dict(zip(data.classes, counts.tolist(), strict=True)),
                "synthetic": any(dataset.synthetic for dataset in self.group),
                "macro": sorted(data.macro),
                "seed": self.seed,
                "notes": [f"left out, since folds hold them out: {', '.join(self.left_out)}"] if self.left_out else [],
            },
            "code": {"model": self.ingredients["model_code"], "engine": self.ingredients["engine_code"]},
            "pretraining": {"key": self.key, "ingredients": self.ingredients},
        }


class MacroData:
    """The macro-expressions among prepared datasets, put together once for each task and set of features.

    Parameters
    ----------
    prepared : the datasets; those of micro-expressions are left aside.

    Raises
    ------
    UsageError : none of them holds macro-expressions.
    """

    def __init__(self, prepared: Sequence[PreparedDataset]) -> None:
        self._macro = [dataset for dataset in prepared if dataset.macro]
        self._assembled: dict[tuple[str, ...], tuple[list[PreparedDataset], StudyData]] = {}
        if not self._macro:
            there = ", ".join(f"{one.name} (micro-expressions)" for one in prepared) or "nothing"
            raise UsageError(
                f"There are no macro-expressions to pretrain on: the data holds {there}. Give a database that has some "
                "with --data: AFEW, CK+, Oulu-CASIA, CAS(ME)^2 or CAS(ME)^3 with the sheet of their macro-expressions, "
                "or `merbench synth --strength macro`."
            )

    def wanted(
        self,
        info: ModelInfo,
        values: dict[str, Any],
        task: Task,
        seed: int,
        people: Sequence[str] | None = None,
    ) -> Wanted:
        """Return a pretraining.

        Parameters
        ----------
        info : the network.
        values : its hyper-parameters; ``freeze`` is for what starts from it, and does nothing here.
        task : the label scheme.
        seed : of all random draws.
        people : who may be trained on; None for everybody.

        Raises
        ------
        Unfit : no macro-expression has a label in this task, or a dataset lacks a feature.
        DataError : fewer than two classes are left to train on.
        """
        group, data = self._of(info, task)
        allowed = np.ones(len(data), dtype=bool) if people is None else np.isin(data.subjects, list(people))
        rows, everybody = np.flatnonzero(allowed), set(data.subjects.tolist())
        left_out = sorted(everybody - set(data.subjects[rows].tolist()))
        if len(rows) == 0 or (not data.multilabel and len(classes_shown(data.labels[rows])) < 2):
            without = f" without {_listed(left_out)}" if left_out else ""
            classes = sorted(data.classes[number] for number in classes_shown(data.labels[rows])) if len(rows) else []
            raise DataError(
                f"Pretraining {info.name} on {'+'.join(one.name for one in group)}{without}: {len(rows)} clips are "
                f"left, which show {', '.join(classes) or 'no class'}; expected two classes or more. Give "
                "macro-expressions of other people."
            )
        return Wanted(info, {**values, "freeze": ""}, task, seed, tuple(group), data, rows, tuple(left_out))

    def people(self, info: ModelInfo, task: Task) -> list[str]:
        """Return the subjects that there are in a task, sorted."""
        return sorted(set(self._of(info, task)[1].subjects.tolist()))

    def sharing(self, info: ModelInfo, task: Task, tested: Sequence[str]) -> set[str]:
        """Return the subjects in a task one of whose clips holds a picture of a tested clip, whatever they are called.

        Parameters
        ----------
        info : the network.
        task : the label scheme.
        tested : sample ids.
        """
        group, data = self._of(info, task)
        copies = {one.sample_ids for dataset in group for one in dataset.copies}
        shared = {name for names in copies if not set(tested).isdisjoint(names) for name in names}
        return set(data.subjects[np.isin(data.sample_ids, sorted(shared))].tolist())

    def _of(self, info: ModelInfo, task: Task) -> tuple[list[PreparedDataset], StudyData]:
        key = (task.name, *info.features, str(info.uses_action_units))
        if key not in self._assembled:
            group = [dataset for dataset in self._macro if task.mapping(dataset.name) and labelled(task, dataset).any()]
            if not group:
                others = sorted({name for dataset in self._macro for name in tasks_of(dataset.samples)})
                raise Unfit(
                    f"no macro-expression of {', '.join(one.name for one in self._macro)} has a label in task "
                    f"{task.name}, to pretrain {info.name} on. Tasks that label them: {', '.join(others) or 'none'} "
                    "(`merbench pretrain --task`, `merbench run --pretrain auto:TASK`)."
                )
            for dataset in group:
                if lacking := [dataset.lacking[name] for name in dataset.lacking if name in info.features]:
                    raise Unfit(f"{info.name} cannot be pretrained on {dataset.name}: {' '.join(lacking)}")
            self._assembled[key] = group, assemble(group, task, info.features, info.uses_action_units)
        return self._assembled[key]


def _listed(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
