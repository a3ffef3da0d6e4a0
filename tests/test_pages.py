"""The pages that tell how to add something: each example is one file that all checks pass, and a broken one is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.commands.check import check
from preprocess.base.plugins import unload_plugins

ROOT = Path(__file__).resolve().parents[1]
READMES = [ROOT / room / "README.md" for room in ("preprocess", "mer_models", "bench", "results")]
PAGE = re.compile(r"^### Add (?:a|an) ([a-z -]+)\n(.*?)(?=^#{1,3} |\Z)", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

FRONT = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Adding things")[2].partition("\n## ")[0]
PAGES = {kind: text for file in READMES for kind, text in PAGE.findall(file.read_text(encoding="utf-8"))}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a plug-in registered is removed when the test ends."""
    yield
    unload_plugins()


def example(page: str) -> str:
    """Return the code of a page."""
    (code,) = CODE.findall(PAGES[page])
    return code


def checked(folder: Path, code: str) -> tuple[int, str]:
    """Return exit status and output of ``merbench check`` for a file with this code."""
    file = folder / "my_plug_in.py"
    file.write_text(code, encoding="utf-8")
    said: list[str] = []
    status = check([str(file)], [], said.append)
    return status, "\n".join(said)


def test_there_is_a_page_for_each_kind_of_thing() -> None:
    added = {"dataset", "task", "feature step", "model", "estimator"}
    assert set(PAGES) == added | {"protocol", "augmentation", "metric", "column"}


def test_the_example_of_the_front_page_passes_all_checks(tmp_path: Path) -> None:
    status, said = checked(tmp_path, "".join(CODE.findall(FRONT)))
    assert (status, "0 failed" in said) == (0, True), said


def test_the_front_page_leads_to_the_pages() -> None:
    for room, anchor in re.findall(r"\((\w+)/README\.md#([\w-]+)\)", FRONT):
        headings = re.findall(r"^## (.*)$", (ROOT / room / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert {file.parent.name for file in READMES} == set(re.findall(r"\((\w+)/README\.md#", FRONT))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_example_of_a_page_passes_all_checks(page: str, tmp_path: Path) -> None:
    code = example(page)
    assert 10 <= len(code.splitlines()) <= 60
    status, said = checked(tmp_path, code)
    assert status == 0, said
    assert re.search(r"[1-9]\d* checks, 0 failed$", said)
    assert "no checks of this kind" not in said


BROKEN = {
    "logits of another shape": (
        "model",
        "nn.Linear(width * 16, n_classes)",
        "nn.Linear(width * 16, 2 * n_classes)",
        r"forward gives \(1, 6\) float32 of 1 sample\(s\) and 3 classes; expected \(1, 3\) float32",
    ),
    "probabilities": (
        "model",
        "return self.classifier(self.features(flow))",
        "return self.classifier(self.features(flow)).softmax(dim=1)",
        "The logits of each sample look like probabilities",
    ),
    "weights of a seed of its own": (
        "model",
        "super().__init__()",
        "super().__init__()\n        torch.manual_seed(1)",
        "Another seed gives the same weights",
    ),
    "a sample that sees its neighbours": (
        "model",
        "self.features(flow)",
        "self.features(flow - flow.mean(dim=0))",
        "A sample has other logits alone",
    ),
    "a parameter that nothing uses": (
        "model",
        "super().__init__()",
        "super().__init__()\n        self.idle = nn.Parameter(torch.zeros(3))",
        "No gradient reaches idle",
    ),
    "weights that are no parameters": (
        "model",
        "return self.classifier(self.features(flow))",
        "return self.classifier(self.features(flow)) + self.bias",
        r"AttributeError: 'Tiny' object has no attribute 'bias' \(.*my_plug_in\.py, line 36: return self\.classifier",
    ),
    "a setting without a line": ("model", "width : number", "filters : number", "The docstring lacks .*'width :'"),
    "draws beside the rng": (
        "estimator",
        "self.means = np.stack(",
        "flat = flat + np.random.rand()\n        self.means = np.random.rand() + np.stack(",
        "A second fit scores differently",
    ),
    "state that lacks something": (
        "estimator",
        'return {"means": self.means}',
        'return {"means": self.means.round()}',
        "With its stored state loaded, it scores differently",
    ),
    "a step that draws": (
        "feature step",
        "np.ascontiguousarray(parts.mean(axis=(2, 4)))",
        "np.float32(np.random.rand()) + parts.mean(axis=(2, 4))",
        "The second time, tensor differs",
    ),
    "a step that changes what it is given": (
        "feature step",
        "pairs, height, width =",
        "work.flow[0] *= 2\n    pairs, height, width =",
        "It changes flow of the work",
    ),
    "a recipe that promises something else": (
        "feature step",
        '"shape": [1, 8, 8]',
        '"shape": [1, 9, 9]',
        r"is float32 \(1, 8, 8\); its recipe promises float32 \(1, 9, 9\)",
    ),
    "a dataset whose frames are called otherwise": (
        "dataset",
        'r"frame(?P<n>\\d+)\\.png"',
        'r"img(?P<n>\\d+)\\.png"',
        "missing: frames: clip folders are there, but no file in them is named as in glances_frames/p1",
    ),
    "a sheet that lacks a column": ("dataset", "OnsetFrame", "Begin", "onset"),
    "words that nobody declared": (
        "dataset",
        '"traurig": "sadness", ',
        "",
        "No task gives glances a label|does not know the emotion 'traurig'",
    ),
    "a class that no dataset has": (
        "task",
        '"smile": ("happiness",)',
        '"smile": ("glee",)',
        "takes no registered dataset",
    ),
    "a leak": (
        "protocol",
        "np.flatnonzero(np.isin(data.subjects, half))",
        "np.arange(len(data))[n - 1 :: 2]",
        r"Fold 'half1' of a study of 12 people a dataset has one/p00 in train and in test",
    ),
    "rows for ids": (
        "protocol",
        "sorted(set(data.subjects.tolist()))",
        "list(dict.fromkeys(data.subjects.tolist()))",
        "in another order of its rows it makes other folds",
    ),
    "a test of some twice": ("protocol", "people[1::2]", "people[1:]", "tests .* samples more than once"),
    "a draw that no rng knows": (
        "augmentation",
        "rng.uniform",
        "np.random.uniform",
        "With the same rng it changes .* in another way",
    ),
    "a batch changed in place": (
        "augmentation",
        "return means + factors",
        "values -= 1\n    return means + factors",
        "It changes .* in place",
    ),
    "a metric that is better when lower": (
        "metric",
        "return ratio(right - by_chance",
        "return -ratio(right - by_chance",
        "Higher must be better",
    ),
    "a metric of one matrix only": ("metric", "axis=(-2, -1))", "axis=None)", "score differently together and alone"),
    "a column without dashes": (
        "column",
        "if row.uf1_per_seed is None:",
        "if False:",
        r"TypeError: .*my_plug_in\.py, line 12",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_with_a_plug_in_is_told(what: str, tmp_path: Path) -> None:
    page, right, wrong, reason = BROKEN[what]
    code = example(page)
    assert code.count(right) == 1
    status, said = checked(tmp_path, code.replace(right, wrong))
    assert status == 1
    reasons = re.findall(r"^  FAILED .*\n +(.*)$", said, re.MULTILINE)
    assert any(re.search(reason, one) for one in reasons), said
