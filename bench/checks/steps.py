"""What recipes rely on of a step: the same work gives the same result, and is left as it was."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.checks.check import NotTried, expect
from bench.checks.rendered_clips import RenderedClips, rendered_clips
from preprocess.base.errors import UsageError
from preprocess.base.hashing import canonical_json
from preprocess.recipes import FEATURES
from preprocess.steps import STEPS, Step, Work

COMMON: tuple[tuple[str, dict[str, Any]], ...] = (
    ("face", {"size": [128, 128], "margin": 0.1}),
    ("select", {"frames": "onset_apex"}),
    ("load", {"color": "grey"}),
    ("landmarks", {"per": "frame"}),
    ("flow", {"method": "tvl1", "pairs": "onset_apex"}),
    ("strain", {}),
)
"""What comes before a step that no recipe uses."""

Chain = tuple[tuple[str, dict[str, Any]], ...]


@dataclass(frozen=True)
class StepCase:
    """A step within a recipe that uses it, and a clip that has come as far as this step."""

    step: Step

    @property
    def clips(self) -> RenderedClips:
        """Clips to try it on."""
        return rendered_clips()

    @functools.cached_property
    def before(self) -> Work:
        """What the steps before it have made of a clip."""
        work = Work(clip=self.clips.clips["brows"], finder=self.clips.finder)
        for name, given in self._chain[0]:
            step = STEPS.get(name)
            work = step.run(work, **step.options(given, f"step {name}"))
        return work

    def run(self) -> Work:
        """Return what the step makes of it."""
        result = self.step.run(self.before, **self.step.options(self._chain[1], f"step {self.step.name}"))
        expect(
            isinstance(result, Work), f"It returns {type(result).__name__}; expected dataclasses.replace(work, ...)."
        )
        return result

    @functools.cached_property
    def _chain(self) -> tuple[Chain, dict[str, Any]]:
        """The steps before it, and its options; of the shortest recipe that uses it."""
        used = [
            (recipe.steps[:place], given)
            for _, recipe in FEATURES.items()
            for place, (name, given) in enumerate(recipe.steps)
            if name == self.step.name
        ]
        if used:
            return min(used, key=lambda chain: len(chain[0]))
        needed = [name for name, default in self.step.parameters().items() if default is inspect.Parameter.empty]
        if needed:
            raise NotTried(f"no recipe uses it, and {', '.join(needed)} has no default; register a recipe beside it")
        return COMMON, {}


def check_repeats(case: StepCase) -> None:
    """The same work gives the same result again."""
    first, again = case.run(), case.run()
    differ = [name for name in _FIELDS if not _equal(getattr(first, name), getattr(again, name))]
    expect(not differ, f"The second time, {', '.join(differ)} differs. Draw nothing.")


def check_input_unchanged(case: StepCase) -> None:
    """It leaves the work that it is given as it was: other recipes go on from there."""
    before = {name: _copied(getattr(case.before, name)) for name in _FIELDS}
    case.run()
    changed = [name for name, value in before.items() if not _equal(value, getattr(case.before, name))]
    expect(
        not changed, f"It changes {', '.join(changed)} of the work that it is given. Return dataclasses.replace(...)."
    )


def check_does_something(case: StepCase) -> None:
    """It adds something to the work, or changes something."""
    result = case.run()
    changed = any(not _equal(getattr(case.before, name), getattr(result, name)) for name in _FIELDS)
    expect(changed, "It returns the work as it was.")


def check_options(case: StepCase) -> None:
    """Its options have defaults that a recipe's hash can hold, and another option is refused."""
    defaults = case.step.parameters().items()
    canonical_json({name: value for name, value in defaults if value is not inspect.Parameter.empty})
    try:
        case.step.options({"no_such_option": 1}, "my recipe")
    except UsageError:
        return
    expect(False, "It takes an option that its function does not have.")


def check_documented(case: StepCase) -> None:
    """It has a version, and says in a few words what it does."""
    expect(case.step.version >= 1, f"Its version is {case.step.version}; expected 1 or more.")
    words = len(case.step.summary.split())
    expect(words > 2, f"The first line of its docstring is {case.step.summary!r}; say what it does.")


_FIELDS = [field.name for field in dataclasses.fields(Work) if field.name not in ("clip", "finder")]


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    return bool(first is second or (type(first) is type(second) and first == second))
