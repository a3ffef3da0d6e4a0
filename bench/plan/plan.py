"""The plan of a run: which studies, which folds, what the store holds already, and what is left to train."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.config import results_root
from bench.engine.selection import SELECTIONS, Selection
from bench.plan.cards import (
    CardMaker,
    Setting,
    may_be_stored,
    unmade_features,
    waits_for_pretraining,
    why_new,
)
from bench.plan.checks import check_inputs, lacking_classes, seen_before, unknown_units, unread_units
from bench.plan.hyperparameters import check_layouts
from bench.plan.planned import Plan, PlannedStudy, PlannedTraining
from bench.plan.request import Request
from bench.plan.starts import Starts
from bench.plan.training import Training
from bench.plan.tuning import TRIED_BY, Tunings
from bench.study.assemble import assemble, has_labels
from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.study.inner import inner_folds
from bench.study.protocols import Protocol
from bench.study.shared_rows import SharedRows
from bench.study.shifted import Shifted, ShiftedDataset
from bench.study.splitting import ids_digest, make_folds
from bench.study.spotted import Spotted, SpottedDataset
from preprocess.base.errors import Unfit, UsageError, did_you_mean
from preprocess.base.hashing import digest
from preprocess.labels.tasks import UNITS, Task, tasks_of
from preprocess.recipes import recipes_of
from preprocess.shards.prepared import PreparedDataset
from results.scores.stored_study import of_sealed
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.store.study_folder import StudyState
from results.store.watched import INNER, VALIDATION


def make_plan(
    request: Request,
    prepared: Sequence[PreparedDataset],
    store: OutcomeStore | None,
    progress: Callable[[int], None] | None = None,
    shifted: Shifted | None = None,
    spotted: Spotted | None = None,
) -> Plan:
    """Work out all studies of a request over the prepared datasets, and compare them with the store.

    A protocol, task or model that does not apply to a dataset is left out with a note.

    Parameters
    ----------
    request : what is to be trained.
    prepared : the datasets with their features.
    store : the results so far; None where there are none yet.
    progress : called with the number of studies planned so far.
    shifted : the datasets with shifted clips; a study that may be tested on them, too, is.
    spotted : what was spotted in long recordings, for the protocols that ask for it.

    Raises
    ------
    UsageError : a dataset that a protocol names is not there.
    DataError : a study cannot be run honestly (a class that no training subject shows, a single subject).
    Unfit : nothing of what was asked for applies.
    """
    _check_datasets(request.protocols, [dataset.name for dataset in prepared])
    starts = Starts(request.starts, request.models, prepared, results_root(request.config.results))
    builder = _Builder(request, store, shifted or {}, spotted or {}, starts)
    # What is pretrained on is not studied by itself.
    prepared = [dataset for dataset in prepared if not (request.starts.auto and dataset.macro)]
    for protocol, task in itertools.product(request.protocols, request.tasks):
        for group in groups_of(protocol, builder.with_labels(task, prepared)):
            for model, seed in itertools.product(request.models, request.config.seeds):
                builder.add(Setting(model.info, model.values_in(task), task, protocol, group, seed))
                if progress:
                    progress(builder.studies)
    return builder.finished()


def _check_datasets(protocols: Sequence[Protocol], known: list[str]) -> None:
    for protocol in protocols:
        for name in protocol.datasets:
            if name not in known:
                raise UsageError(f"Protocol {protocol.name}: no dataset {name!r}. {did_you_mean(name, known)}")


def groups_of(protocol: Protocol, prepared: list[PreparedDataset]) -> list[list[PreparedDataset]]:
    """Return the datasets of each study. A protocol that takes several is left to say that there is one only."""
    if not prepared:
        return []
    if protocol.over == "each":
        return [[dataset] for dataset in prepared]
    if protocol.over == "named":
        return [[dataset for dataset in prepared if dataset.name in protocol.datasets]]
    if protocol.over == "pairs" and len(prepared) > 1:
        return [list(pair) for pair in itertools.combinations(prepared, 2)]
    return [prepared]


class _Builder:
    """Collects trainings; keeps what studies have in common so that it is worked out once."""

    def __init__(
        self, request: Request, store: OutcomeStore | None, shifted: Shifted, spotted: Spotted, starts: Starts
    ) -> None:
        self.plan = Plan([], notes=list(request.left_out), pretrainings=starts.wanted)
        self._shifted, self._spotted, self._starts = shifted, spotted, starts
        self._config, self._selections = request.config, request.selections
        self._store = store
        self._stored = store.cards() if store else []
        self._written = {card.key: card for card in self._stored}
        self._tunings = Tunings(request)
        self.studies = 0
        self._folds: dict[tuple[str, str], tuple[list[Fold], list[str], list[str]]] = {}
        self._fed: set[str] = set()
        self._labelled: dict[tuple[str, str], bool] = {}
        self._cards = CardMaker()
        self._shared = SharedRows()
        self._unread: dict[str, list[str]] = {}

    def with_labels(self, task: Task, prepared: Sequence[PreparedDataset]) -> list[PreparedDataset]:
        """Return the datasets of which the task labels at least one sample; the others are noted."""
        for dataset in prepared:
            if (task.name, dataset.name) not in self._labelled:
                self._labelled[task.name, dataset.name] = has_labels(task, dataset)
                if not self._labelled[task.name, dataset.name]:
                    made = bool(task.mapping(dataset.name))
                    why = "none of its samples has a label" if made else "the task is made for other databases"
                    others = ", ".join(tasks_of(dataset.samples)) or "none"
                    self._note(
                        f"Dataset {dataset.name} left out of task {task.name}: {why}. Tasks that label it: {others}."
                    )
        return [dataset for dataset in prepared if self._labelled[task.name, dataset.name]]

    def finished(self) -> Plan:
        """Compare all studies with the store, and return the plan; Unfit, with what was left out, where it has none."""
        if not self.plan.trainings:
            raise Unfit(" ".join(self.plan.notes) or "There is nothing to run: no dataset was given.")
        self._look_up([planned for planned in self.plan.trainings if not planned.inner])
        for planned in self.plan.trainings:
            if not planned.inner:
                planned.todo = list(planned.missing)
        asked = [(planned, tuning) for planned, tuning in self.plan.tuned if planned.todo]
        self._look_up([inner for _, tuning in asked for rung in tuning.rungs for inner in rung.trainings])
        for planned, tuning in asked:
            everything = range(len(tuning.configurations))
            tuning.ask(0, dict.fromkeys(planned.todo, everything))
        if any(planned.todo for planned in self.plan.trainings):
            for study in (study for planned in self.plan.trainings for study in planned.studies):
                study.found = None
        used = {planned.training.data for planned in self.plan.trainings}
        self.plan.data = {key: data for key, data in self.plan.data.items() if key in used}
        return self.plan

    def _look_up(self, trainings: Sequence[PlannedTraining]) -> None:
        """Find out what the store holds of some trainings."""
        cards = [card for planned in trainings for card in planned.training.cards]
        if self._store:
            compare = partial(self._compare, self._store.for_many(cards))
            compared: Iterator[PlannedStudy] = iter(self._store.map(compare, cards))
        else:
            compared = map(PlannedStudy, cards)
        for planned in trainings:
            planned.studies = list(itertools.islice(compared, len(planned.training.cards)))
            planned.missing = self._missing(planned.studies)

    def add(self, setting: Setting) -> None:
        """Plan the studies of one setting, or note why it does not apply to its datasets."""
        names, features = "+".join(dataset.name for dataset in setting.group), setting.info.features
        if setting.task.multilabel and (form := setting.info.one_class_only(setting.values)):
            self._note(
                f"Model {form} left out of task {setting.task.name}: it takes one class a sample, and this task has "
                "several."
            )
            return
        lacking = [dataset.lacking[name] for dataset in setting.group for name in dataset.lacking if name in features]
        if lacking:
            self._note(f"Model {setting.info.name} left out for {names}: {' '.join(lacking)}")
            return
        try:
            self._add(setting)
        except Unfit as reason:
            self._note(f"Protocol {setting.protocol.name} left out for {names}, task {setting.task.name}: {reason}")

    def _note(self, note: str) -> None:
        if note not in self.plan.notes:
            self.plan.notes.append(note)

    def _add(self, setting: Setting) -> None:
        """Plan the selections that watch validation subjects as one training, tuned ones apart, all others as one."""
        key, data = self._data(setting)
        self._check_shapes(setting, data)
        check_layouts(setting.info, setting.values, data.layouts)
        for validate in (False, True):
            chosen = [
                rule for rule in self._selections if rule.watches != INNER and (rule.watches == VALIDATION) == validate
            ]
            if chosen:
                self._plan_training(setting, chosen, key, data, validate)
        for rule in self._selections:
            if rule.watches == INNER:
                self._add_tuned(setting, rule, key, data)

    def _plan_training(
        self, setting: Setting, rules: Sequence[Selection], key: str, data: StudyData, validate: bool = False
    ) -> PlannedTraining:
        folds, ids, notes = self._make_folds(key, setting, validate, data)
        starts = self._starts.of(setting, folds, data)
        cards = tuple(
            self._cards.make(
                setting,
                rule,
                key,
                data,
                folds,
                ids,
                notes,
                shift,
                self._datasets_of(shift, setting.group),
                self._spotted_of(setting),
                starts,
            )
            for rule in rules
            for shift in ("", *data.shifted)
        )
        planned = PlannedTraining(setting.info, Training(cards, key, self._config.keep_weights, starts=starts))
        self.plan.trainings.append(planned)
        self.studies += len(cards)
        return planned

    def _add_tuned(self, setting: Setting, rule: Selection, key: str, data: StudyData) -> None:
        """Plan a tuned study, and before it the inner studies on which its configurations are tried."""
        tuning, note = self._tunings.of(setting)
        if note:
            self._note(note)
        if tuning is None:
            return
        folds = make_folds(setting.protocol, setting.info.name, False, setting.seed, data)
        inner = inner_folds(folds, tuning.inner, data)
        for fold in inner:
            fold.check(data.subjects, data.copies)
        ids = [ids_digest(fold, data) for fold in inner]
        for wave, rung in enumerate(tuning.rungs):
            for tried in tuning.settings(setting, wave):
                self._check_shapes(tried, data)
                check_layouts(tried.info, tried.values, data.layouts)
                card = self._cards.make(tried, SELECTIONS.get(TRIED_BY), key, data, inner, ids, [])
                rung.trainings.append(PlannedTraining(setting.info, Training((card,), key), wave=wave))
            self.plan.trainings += rung.trainings
        planned = self._plan_training(tuning.setting(setting), [rule], key, data)
        planned.wave, planned.tuning = len(tuning.rungs), tuning

    def _data(self, setting: Setting) -> tuple[str, StudyData]:
        group, task, features = setting.group, setting.task, setting.info.features
        units = setting.info.uses_action_units
        spotted = self._spotted_of(setting)
        more = [*(["action units"] if units else []), *(["spotted"] if spotted else [])]
        key = "|".join(["+".join(d.name for d in group), task.name, *features, *more])
        if key not in self.plan.data:
            shifted = {
                shift: [one.prepared for one in self._datasets_of(shift, group)] for shift in self._shifts(setting)
            }
            parts = [*group, spotted.clips()] if spotted else group
            self.plan.data[key] = self._shared.of(assemble(parts, task, features, units, shifted))
        return key, self.plan.data[key]

    def _spotted_of(self, setting: Setting) -> SpottedDataset | None:
        return self._spotted.get(setting.group[0].name) if setting.protocol.spots else None

    def _datasets_of(self, shift: str, group: Sequence[PreparedDataset]) -> list[ShiftedDataset]:
        return [self._shifted[shift][dataset.name] for dataset in group] if shift else []

    def _shifts(self, setting: Setting) -> list[str]:
        """Return the shifts that a setting is tested with; a note says why where that is none."""
        features = setting.info.features
        if self._shifted and setting.protocol.spots:
            self._note(f"Protocol {setting.protocol.name} is not tested with shifted key frames: it spots its own.")
            return []
        if self._shifted and not features:
            self._note(f"Model {setting.info.name} is not tested with shifted key frames: it looks at no clip.")
            return []
        for shift, datasets in self._shifted.items():
            for dataset in setting.group:
                there = datasets.get(dataset.name)
                if there is None or any(name in there.prepared.lacking for name in features):
                    self._note(
                        f"Model {setting.info.name} is not tested with key frames shifted by {shift} on "
                        f"{'+'.join(one.name for one in setting.group)}: {dataset.name} brings "
                        f"{', '.join(features)} ready-made, and no frames to make it from again."
                    )
                    return []
        return list(self._shifted)

    def _check_shapes(self, setting: Setting, data: StudyData) -> None:
        """Raise UsageError where a network cannot take features that another than the built-in recipe has made."""
        info, values = setting.info, setting.values
        shapes = {name: data.features[name].shape[1:] for name in info.features}
        if shapes == {name: recipe.shape for name, recipe in recipes_of(info.features).items()}:
            return
        case = digest([info.name, values, len(data.classes), {name: list(shape) for name, shape in shapes.items()}])
        if case not in self._fed:
            self._fed.add(case)
            check_inputs(info, {name: values[name] for name in info.params}, len(data.classes), shapes)

    def _make_folds(
        self, data_key: str, setting: Setting, validate: bool, data: StudyData
    ) -> tuple[list[Fold], list[str], list[str]]:
        """Return the folds, the digests of their sample ids, and what is to be noted of the study."""
        protocol, model, seed = setting.protocol, setting.info.name, setting.seed
        # Without a validation split the rows depend on neither model nor seed; a card does not hold the folds' seeds.
        if validate or (data_key, protocol.name) not in self._folds:
            folds = make_folds(protocol, model, validate, seed, data)
            for fold in folds:
                fold.check(data.subjects, data.copies)
            made = folds, [ids_digest(fold, data) for fold in folds], lacking_classes(protocol.name, folds, data)
        else:
            made = self._folds[data_key, protocol.name]
        if not validate:
            self._folds[data_key, protocol.name] = made
        folds, ids, notes = made
        where = "+".join(dataset.name for dataset in setting.group)
        for note in notes:
            self._note(f"{where}, task {setting.task.name}, protocol {protocol.name}: {note}.")
        of_units = setting.info.uses_action_units or setting.task.column == UNITS
        own = unknown_units(setting.info.name, data) + (self._unread_units(setting) if of_units else [])
        own += seen_before(setting.info, setting.values, data)
        for note in own:
            self._note(f"{note}.")
        return folds, ids, notes + own

    def _unread_units(self, setting: Setting) -> list[str]:
        for dataset in setting.group:
            if dataset.name not in self._unread:
                self._unread[dataset.name] = unread_units(dataset)
        return [note for dataset in setting.group for note in self._unread[dataset.name]]

    def _compare(self, store: OutcomeStore, card: StudyCard) -> PlannedStudy:
        found = self._compared(store, card)
        found.written = self._written.get(card.key) == card
        return found

    def _compared(self, store: OutcomeStore, card: StudyCard) -> PlannedStudy:
        if unmade_features(card) or waits_for_pretraining(card):
            return PlannedStudy(card, unknown=self._config.overwrite != "all" and may_be_stored(card, self._stored))
        sealed = store.read_sealed(card)
        found = None if sealed is None else of_sealed(card, sealed)
        state, whole, damaged = self._state(card, store, found is not None)
        # The weights that shifted clips are scored with are those of the study that is not shifted; of inner folds none
        # are kept.
        with_weights = self._config.keep_weights and not card.shift and not card.inner
        done = whole & state.weights if with_weights else whole
        if self._config.overwrite == "all" and (state.done or state.failed):
            return PlannedStudy(card, damaged=damaged, reason="--overwrite all")
        reason = ""
        if whole - done:
            reason = f"{len(whole - done)} folds have no stored weights (--keep-weights)"
        elif damaged:
            reason = f"{len(damaged)} outcome files are damaged"
        elif not state.done:
            reason = why_new(card, self._stored)
        return PlannedStudy(card, done, state.failed, damaged, reason, found=found)

    def _state(
        self, card: StudyCard, store: OutcomeStore, sealed: bool
    ) -> tuple[StudyState, frozenset[str], list[str]]:
        """Return what is there of a study, the keys of the folds that are whole, and a message a damaged file."""
        everything = frozenset(fold.key for fold in card.folds)
        if sealed and not self._config.keep_weights:
            return StudyState(everything, frozenset()), everything, []
        state = store.state(card)
        if sealed:
            return state, everything, []
        outcomes, damaged = store.read_outcomes(card) if state.done else ([], [])
        return state, frozenset(outcome.key for outcome in outcomes), damaged

    def _missing(self, studies: list[PlannedStudy]) -> list[int]:
        overwrite = self._config.overwrite
        numbers: set[int] = set()
        for study in studies:
            for number, fold in enumerate(study.card.folds):
                if fold.key not in study.done and (fold.key not in study.failed or overwrite == "failed"):
                    numbers.add(number)
        return sorted(numbers)
