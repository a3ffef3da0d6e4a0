"""The model card of a trained model: what it is, whom it was trained on, what to expect of it, what it is not for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.views.columns import MISSING, interval, number

_SHOWN = 12


def model_card(configuration: Mapping[str, Any]) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    configuration : what the model's folder says of it.
    """
    told = configuration
    parts = [
        f"# {told['label']}, trained on everybody of {', '.join(told['trained_on']['datasets'])}",
        f"A model of facial micro-expressions for {task_words(told['task'])}, fitted by `merbench fit`.",
        data_section(told["trained_on"]),
        "## What to expect\n\n" + "\n\n".join(score_lines(told["expected"], told["task"]["multilabel"])),
        _use(told),
        _limits(told),
        _making(told),
    ]
    return "\n\n".join(parts) + "\n"


def score_lines(expected: Mapping[str, Any], multilabel: bool = False) -> list[str]:
    """Return the paragraphs on the score that is to be expected, as Markdown.

    Parameters
    ----------
    expected : the score of the same study, or why there is none and what measures it.
    multilabel : whether a clip may show several classes.
    """
    if "missing" in expected:
        return [
            f"How good this model is on people it has not seen is not known: {expected['missing']}. This measures it "
            "(leaving one person out after the other); fit again afterwards, so that it stands here:",
            f"```\n{expected['command']}\n```",
        ]
    names = "mean F1 and mean recall of the classes" if multilabel else "UF1 and UAR"
    head = ["part", "clips", "people", "UF1 (95 %)", "UAR (95 %)"]
    rows = [
        [
            part["part"],
            str(part["n_samples"]),
            str(part["n_subjects"]),
            _with_interval(part, "uf1"),
            _with_interval(part, "uar"),
        ]
        for part in expected["parts"]
    ]
    full = expected["parts"][0]
    classes = [
        [name, str(count), number(full["f1_per_class"][name]), number(full["recall_per_class"][name])]
        for name, count in full["class_counts"].items()
    ]
    return [
        f"Scores ({names}) of the same study with every person held out once (`{expected['protocol']}`, last epoch), "
        "pooled over all of them. This model itself was trained on all these people, so that no score of it on them "
        "means anything.",
        table(head, rows),
        table(["class", "clips", "F1", "recall"], classes),
        *([f"Notes: {'; '.join(full['notes'])}."] if full["notes"] else []),
    ]


def task_words(task: Mapping[str, Any]) -> str:
    """Return a task with its classes, in words."""
    several = "any number of " if task["multilabel"] else ""
    return f"the task `{task['name']}` ({several}{', '.join(task['classes'])})"


def data_section(trained_on: Mapping[str, Any]) -> str:
    """Return what a model was trained on, as Markdown."""
    rows = [[name, str(one["samples"]), str(one["people"])] for name, one in trained_on["datasets"].items()]
    counts = ", ".join(f"{name} {count}" for name, count in trained_on["class_counts"].items())
    people = trained_on["people"]
    named = ", ".join(people[:_SHOWN]) + (f" and {len(people) - _SHOWN} more" if len(people) > _SHOWN else "")
    lines = [
        "## Data",
        table(["dataset", "clips", "people"], rows),
        f"Clips a class: {counts}. People: {named} (all of them: `trained_on` in `model.json`).",
    ]
    if trained_on["synthetic"]:
        lines.append("**The data is synthetic, rendered by a program. The model says nothing about real faces.**")
    if trained_on["notes"]:
        lines.append("Notes: " + "; ".join(trained_on["notes"]) + ".")
    return "\n\n".join(lines)


def _use(told: Mapping[str, Any]) -> str:
    return (
        "## Intended use\n\n"
        "Research on facial expressions: a first look at recordings of your own (`merbench predict VIDEO --model "
        "FOLDER`), and a starting point for annotation by people. It expects one face, seen from the front, at 50 "
        f"frames a second or more, and expressions like those of {', '.join(told['trained_on']['datasets'])}."
    )


def _limits(told: Mapping[str, Any]) -> str:
    lines = [
        "It tells movements of a face, neither what a person feels nor whether somebody lies. Do not decide about "
        "people by it.",
        "It knows its classes only, and gives one of them for whatever moves: speech, blinks, a turned head.",
        "Probabilities are those of the network as it was trained; nobody calibrated them.",
        f"It was trained on {len(told['trained_on']['people'])} people. Of other ages, skins, lights and cameras "
        "nothing is known beyond the scores above.",
        "The licences of the databases may forbid to pass the weights on.",
    ]
    ready = {name: one["ready_made"] for name, one in told["features"].items() if one["ready_made"]}
    for name, datasets in ready.items():
        lines.append(
            f"`{name}` of {', '.join(datasets)} was not made by this program. Of your recordings it is made by the "
            "recipe of this name, which may differ."
        )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _making(told: Mapping[str, Any]) -> str:
    features = ", ".join(f"`{name}`" for name in told["features"]) or "none"
    changed = ", ".join(f"{name}={value}" for name, value in told["hyperparameters"].items())
    origin = told["provenance"]
    return (
        "## How it was made\n\n"
        f"Features: {features}. Settings: {changed or 'none'}. Seed {told['trained_on']['seed']}, the recipe's last "
        f"epoch, {origin['seconds']:.0f} s on {origin['device']}, code {origin['git'] or 'outside a checkout'}, "
        f"{', '.join(f'{name} {version}' for name, version in origin['packages'].items() if version)}."
    )


def _with_interval(part: Mapping[str, Any], name: str) -> str:
    return f"{number(part[name])} {interval(part[f'{name}_low'], part[f'{name}_high'])}".removesuffix(f" {MISSING}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
