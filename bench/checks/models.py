"""What a reader, a plan and a key need of every model: what it says of itself."""

from __future__ import annotations

from bench.checks.check import expect
from mer_models.registry import ModelInfo
from preprocess.base.code import code_fingerprint
from preprocess.base.hashing import canonical_json
from preprocess.recipes import FEATURES


def check_docstring(info: ModelInfo) -> None:
    """Its docstring tells the inputs with their shapes, and each hyper-parameter."""
    text = info.build.__doc__ or ""
    parts = ["Inputs", *(f"{name} :" for name in info.params)]
    missing = [part for part in parts if part not in text]
    expect(not missing, f"The docstring lacks a line with {', '.join(map(repr, missing))}.")
    expect(
        "(n, " in text or not info.features, "The docstring lacks the input's shape, such as '(n, 3, 28, 28) float32'."
    )


def check_paper(info: ModelInfo) -> None:
    """It names its paper, or says that it has none."""
    expect(info.paper.strip(), "Its paper is empty. Name the source, or say that it is a baseline without one.")


def check_settings(info: ModelInfo) -> None:
    """Its settings can name a run: plain JSON values, each listed once."""
    values = info.hyperparameters()
    canonical_json(values)
    fields = vars(info.recipe) if info.recipe else {}
    twice = sorted(fields.keys() & info.params.keys())
    expect(not twice, f"{', '.join(twice)} is both a hyper-parameter and a field of the recipe. Rename it.")


def check_fingerprint(info: ModelInfo) -> None:
    """Its code has a fingerprint, so that results of older code are known as such."""
    expect(len(code_fingerprint(info.source)) == 64, f"{info.source} has no fingerprint.")


def check_features(info: ModelInfo) -> None:
    """Every feature that it takes has a recipe."""
    missing = [name for name in info.features if name not in FEATURES.names()]
    expect(
        not missing, f"No recipe makes {', '.join(missing)}. `merbench list features` shows what there is; add yours."
    )


def check_resources(info: ModelInfo) -> None:
    """Its resources and its recipe can be obeyed."""
    asked = info.resources
    expect(asked.cpus >= 1 and asked.pack >= 1, f"It asks for {asked}; expected at least one CPU and one fold a pack.")
    expect(0 <= asked.gpu <= 1, f"It asks for {asked.gpu} GPUs; expected 0 to 1.")
    if info.recipe is None:
        expect(asked.gpu == 0, f"An estimator asks for {asked.gpu} GPUs; it runs on the CPU: Resources(gpu=0.0).")
    else:
        recipe = info.recipe
        sane = recipe.epochs >= 1 and recipe.batch_size >= 1 and recipe.lr > 0
        expect(sane, f"epochs {recipe.epochs}, batch_size {recipe.batch_size}, lr {recipe.lr}: expected all above 0.")


def check_published(info: ModelInfo) -> None:
    """Published scores lie in 0..1 and say where they were read."""
    for score in info.published:
        numbers = [score.uf1, score.uar, score.accuracy, score.f1]
        wrong = [number for number in numbers if number is not None and not 0 < number < 1]
        expect(not wrong, f"{score.benchmark}: published scores {wrong} do not lie in 0..1.")
        expect((score.uf1 is None) == (score.uar is None), f"{score.benchmark}: give UF1 and UAR together.")
        expect(
            score.uf1 is not None or score.accuracy is not None, f"{score.benchmark}: give UF1 and UAR, or accuracy."
        )
        expect(score.source, f"{score.benchmark}: say where the scores were read (source).")
