"""What a reader, a plan and a key need of every model: what it says of itself."""

from __future__ import annotations

import inspect
import re

from bench.checks.check import NotTried, expect
from mer_models.contracts import Refused
from mer_models.registry import ModelInfo
from preprocess.base.code import code_fingerprint
from preprocess.base.errors import UsageError
from preprocess.base.hashing import canonical_json
from preprocess.recipes import FEATURES


def check_docstring(info: ModelInfo) -> None:
    """Its docstring tells the inputs with their shapes, what comes out, and each hyper-parameter."""
    text = inspect.cleandoc(info.build.__doc__ or "")
    expect("Inputs\n------\n" in text, "The docstring lacks its section 'Inputs', with a line of dashes below it.")
    shapes = "(n, " in text or not info.features
    expect(shapes, "The docstring lacks the inputs' shapes, such as 'flow_uvs_28 : (n, 3, 28, 28) float32.'")
    method = "forward" if info.kind == "network" else "scores"
    told = text + (getattr(info.build, method).__doc__ or "")
    expect(", n_classes)" in told, f"No docstring, of {method} or of the class, says that it gives (n, n_classes).")
    missing = [repr(f"{name} :") for name in info.params if f"{name} :" not in text]
    expect(not missing, f"The docstring lacks a line with {', '.join(missing)}.")


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
    expect(len(code_fingerprint(info.file)) == 64, f"{info.file} has no fingerprint.")


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
        expect(any(number is not None for number in numbers), f"{score.benchmark}: no score is given.")
        expect(score.reference, f"{score.benchmark}: say where the scores were read (reference).")


def check_refused(info: ModelInfo) -> None:
    """Values that it says it refuses are refused by name, with what the option takes; each open option has one."""
    if not info.refused:
        raise NotTried("it names no values that it refuses (refused=)")
    open_options = {name for name, default in info.params.items() if not isinstance(default, bool)}
    missing = sorted(open_options - {one.option for one in info.refused})
    expect(not missing, f"It names no value that {', '.join(missing)} refuses.")
    for one in info.refused:
        _check_refused(info, one)


def _check_refused(info: ModelInfo, refused: Refused) -> None:
    setting = f"{info.name}.{refused.option}"
    expected = (
        rf"{re.escape(setting)} is {re.escape(repr(refused.value))}, but must be {refused.expected}\. Change it .*"
    )
    try:
        info.build(n_classes=3, **{refused.option: refused.value}, **refused.beside)
    except UsageError as error:
        message = str(error)
        expect(re.fullmatch(expected, message), f"Of {setting}={refused.value!r} it says: {message}")
    else:
        expect(False, f"{setting}={refused.value!r} is not refused. Look at it with mer_models._parts.checks.require.")
