"""``merbench pretrain``: train a network on macro-expressions, for folds to start from."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from rich.console import Console

from bench.commands.gathering import prepare_features, read_sources
from bench.config import RunConfig, results_root
from bench.console.interrupts import exit_status
from bench.console.say import say
from bench.plan.fitting import fit_request
from bench.plan.pretraining import MacroData, Wanted
from bench.plan.request import Request
from bench.workers.feature_memory import told_of
from bench.workers.node_types import with_growth
from bench.workers.ray_session import RaySession
from preprocess.base.errors import MerError, UsageError
from preprocess.recipes import load_recipes
from preprocess.shards.prepared import PreparedDataset
from results.store.outcome_store import OutcomeStore
from results.store.pretrained import SHORT, Pretrained, PretrainedStore
from results.tracking.writer import check_address


def pretrain(config: RunConfig, model: str, task: str | None, console: Console) -> int:
    """Train a network on all macro-expressions of the data, and say under which key it lies in the results.

    Parameters
    ----------
    config : the data, the network's settings, where the results lie.
    model : the network's name.
    task : the label scheme; None for the one that the configuration names.
    console : where progress is shown.

    Returns
    -------
    The exit status.

    Raises
    ------
    MerError : something must be mended first; no network is written then.
    """
    for file in config.recipes:
        load_recipes(file)
    request = fit_request(config, model, task, "pretrain")
    info = request.models[0].info
    if info.kind != "network":
        raise UsageError(f"{info.name} is an estimator, which has no weights to start from. Name a network.")
    root = results_root(config.results)
    address = check_address(config.tracking_uri, root)
    with RaySession(config.address, config.workers, lambda text: say(console, text)) as session:
        try:
            prepared = prepare_features(read_sources(request.config, console), request, session, console)
            wanted = _wanted(request, prepared, console)
            OutcomeStore(root, create=True)
            store = PretrainedStore(root)
            if config.overwrite == "all":
                store.remove(wanted.key)
            if store.facts(wanted.key) is None:
                pretrain_all([wanted], config, session, console, config.workers or 1)
            else:
                say(console, "It is pretrained already (--overwrite all does it again).")
        except KeyboardInterrupt:
            say(console, "Interrupted. Features are kept, and the same command goes on from the latest checkpoint.")
            return exit_status()
    facts = store.facts(wanted.key)
    assert facts is not None
    say(console, f"Pretrained: {store.where(facts.key)}")
    if address is not None:
        from results.tracking.pretraining import track_pretrained

        track_pretrained(address, root, lambda text: say(console, text))
    words = ["merbench", "run", "--models", info.name, "--pretrain", facts.key[:SHORT]]
    words += ["--results", config.results] if config.results != "runs" else []
    say(console, f"  {shlex.join(words)} --data PATH    folds that start from it")
    return 0


def pretrain_all(
    wanted: Sequence[Wanted], config: RunConfig, session: RaySession, console: Console, workers: int = 1
) -> None:
    """Train networks on macro-expressions, and tell what came of each.

    Parameters
    ----------
    wanted : what is trained.
    config : of the command.
    session : the command's Ray.
    console : where it is told.
    workers : how many train one network together. With one, the weights have the same bits wherever they are trained.

    Raises
    ------
    MerError : one could not be trained; the others are kept.
    """
    cluster = with_growth(session.cluster(), config.grow_to)
    from bench.workers.pretraining_runs import (
        pretrain as train,  # imports Ray, which reads the session's environment when it is imported
    )

    for one in wanted:
        say(console, _begin(one, workers))
    if cluster.local and config.device != "cuda":
        for text in told_of(((one.info, one.data) for one in wanted), config.feature_memory, cluster.cpus):
            say(console, text)
    began, root = time.monotonic(), results_root(config.results)
    at_a_time = max(1, (config.workers or cluster.cpus) // workers)
    failed = train(wanted, root, cluster, config.device, workers, at_a_time, memory=config.feature_memory)
    store = PretrainedStore(root)
    for one in wanted:
        if facts := store.facts(one.key):
            say(console, f"{facts.key[:SHORT]}: {_ended(one, facts)}")
    say(console, f"Pretraining took {time.monotonic() - began:.0f} s.")
    if failed:
        told = {one.key: f"Pretraining {one.label} on {one.untrained().described} failed" for one in wanted}
        first, error = next(iter(failed.items()))
        more = f" ({len(failed) - 1} more failed.)" if len(failed) > 1 else ""
        raise MerError(f"{told[first]}: {error}{more} Nothing of it was written.")


def _wanted(request: Request, prepared: Sequence[PreparedDataset], console: Console) -> Wanted:
    """Return the pretraining on everybody of the macro-expressions, and tell what is left aside."""
    (model,), (task,), (seed,) = request.models, request.tasks, request.config.seeds
    macro = MacroData(prepared)
    wanted = macro.wanted(model.info, model.values_in(task), task, seed)
    used = {dataset.name for dataset in wanted.group}
    for dataset in prepared:
        if dataset.name not in used:
            why = "no clip has a label in this task" if dataset.macro else "its clips are micro-expressions"
            say(console, f"{dataset.name} left aside: {why}.")
    return wanted


def _begin(one: Wanted, workers: int) -> str:
    by = f", {workers} workers together" if workers > 1 else ""
    without = f", without {', '.join(one.left_out)}" if one.left_out else ""
    return f"Pretraining {one.label} on {one.untrained().described}{without}: {one.values['epochs']} epochs{by}"


def _ended(one: Wanted, facts: Pretrained) -> str:
    return f"{one.label}, loss {facts.loss[0]:.4f} in the first epoch, {facts.loss[-1]:.4f} in the last"
