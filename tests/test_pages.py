"""The pages that tell how to add something: each example is one file that all checks pass, and a broken one is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.commands.check import check
from preprocess.base.plugins import unload_plugins

ROOT = Path(__file__).resolve().parents[1]
READMES = [ROOT / room / "README.md" for room in ("preprocess", "mer_models", "bench", "results")]
PAGE = re.compile(r"^### Add (?:a|an) ([a-z -]+)\n(.*?)(?=^#{1,3} |\Z)", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

PAGES = {kind: text for file in READMES for kind, text in PAGE.findall(file.read_text(encoding="utf-8"))}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a plug-in registered is removed when the test ends; torch runs on one thread, as in the engine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
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
    assert set(PAGES) == {"model", "estimator", "protocol", "augmentation", "metric", "column"}


@pytest.mark.parametrize("page", PAGES)
def test_the_example_of_a_page_passes_all_checks(page: str, tmp_path: Path) -> None:
    code = example(page)
    assert 10 <= len(code.splitlines()) <= 60
    status, said = checked(tmp_path, code)
    assert status == 0, said
    assert re.search(r"[1-9]\d* checks, 0 failed$", said)
    assert "no checks of this kind" not in said
