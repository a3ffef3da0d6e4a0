"""What ``merbench list models --long`` prints of each model: size, cost, inputs, training, paper, published scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bench.plan.sizes import network_size
from mer_models.contracts import Checked, PublicWeights, PublishedScore, TrainingRecipe
from mer_models.registry import MODELS, ModelInfo
from preprocess.recipes import FEATURES
from results.views.text import paragraph, terminal_width

LABEL = 12
CLASSES = 3
SCORES = ("uf1", "uar", "accuracy", "f1")


def long_listing(patterns: list[str], width: int | None = None) -> Iterator[str]:
    """Yield a paragraph for each model that the patterns pick, as it is found out; UsageError for one that picks none.

    The larger networks take seconds: they are built, and run once.
    """
    for name in MODELS.select(patterns):
        yield "\n".join(_described(MODELS.get(name), width))


def _described(info: ModelInfo, width: int | None) -> list[str]:
    inputs = "; ".join(f"{name} ({_tensor(name)})" for name in info.inputs)
    facts = [("inputs", (inputs or "none") + ("; action units in training" if info.uses_action_units else ""))]
    facts += [("targets", "; ".join(f"{name} ({_tensor(name)})" for name in info.targets))] if info.targets else []
    if info.recipe:
        size = network_size(info, {}, CLASSES)
        facts += [
            ("parameters", f"{size.parameters:,} with {CLASSES} classes"),
            ("GFLOPs", f"{size.gflops:.3g} a sample, multiply-add as two"),
            ("recipe", _recipe(info.recipe)),
        ]
    settings = ", ".join(f"{name}={value}" for name, value in info.params.items())
    facts += [("settings", settings)] if settings else []
    facts += [("quick", ", ".join(f"{name}={value}" for name, value in info.quick.items()))] if info.quick else []
    if info.two_classes:
        facts.append(("two classes", ", ".join(f"{name}={value}" for name, value in info.two_classes.items())))
    space = info.space(info.hyperparameters())
    facts += [("search", "; ".join(f"{key} {tried.words}" for key, tried in space.items()))] if space else []
    one_class = f" (one where {' or '.join(info.one_class_where)})" if info.one_class_where else ""
    classes = "one class a sample" + (f", or several{one_class}" if info.multilabel else " only")
    facts += [("tasks", classes), ("paper", info.paper)]
    facts += [("published", _score(score)) for score in info.published]
    facts += [("checked", _checked(checked)) for checked in info.checked]
    facts += [("weights", _public(info.public_weights))] if info.public_weights else []
    lines = [info.name]
    for label, text in facts:
        first, *more = paragraph(text, terminal_width(width) - LABEL - 2)
        lines += [f"  {label:<{LABEL}}{first}", *(" " * (LABEL + 2) + line for line in more)]
    return lines


def _tensor(name: str) -> str:
    feature = FEATURES.get(name)
    return f"{feature.dtype} {'x'.join(map(str, feature.shape))}"


def _recipe(recipe: TrainingRecipe) -> str:
    """Return the fields that a recipe must give or that it changes."""
    always = ("epochs", "batch_size", "lr", "optimizer", "input_range")
    values = dataclasses.asdict(recipe)
    changed = [entry.name for entry in dataclasses.fields(recipe) if values[entry.name] != entry.default]
    names = dict.fromkeys((*always, *changed))
    return ", ".join(f"{name}={values[name]}" for name in names)


def _score(score: PublishedScore) -> str:
    numbers = ", ".join(
        f"{name.upper() if name != 'accuracy' else name} {value:.4f}"
        for name, value in ((name, getattr(score, name)) for name in SCORES)
        if value is not None
    )
    return f"{score.benchmark}: {numbers}; selection {score.selection}; {score.reference}"


def _checked(checked: Checked) -> str:
    form = ", ".join(f"{name}={value}" for name, value in checked.form.items()) or "the default"
    return f"{form} against {checked.against}: largest difference {checked.difference:.0e}"


def _public(weights: PublicWeights) -> str:
    form = "".join(f", {name}={value}" for name, value in weights.form.items())
    return f"{weights.source}, for `merbench test --weights`: channels {weights.channels}{form}"
