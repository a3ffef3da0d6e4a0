"""Fingerprints of code: they follow imports, and neither words nor places count."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from bench.plan.cards import ENGINE
from mer_models.registry import MODELS
from preprocess.base.code import LEFT_OUT, ROOMS, ROOT, code_fingerprint, files_of

CODE = "def area(r):\n    return 3.14 * r * r\n"


@pytest.mark.parametrize(
    "same",
    [
        "# A comment.\ndef area(r):\n\n    return (3.14 * r) * r  # why\n",
        '"""A module."""\n\n\ndef area(r):\n    """Return the area."""\n    return 3.14 * r * r\n',
    ],
    ids=["comments and layout", "docstrings"],
)
def test_what_does_not_run_does_not_count(tmp_path: Path, same: str) -> None:
    assert _fingerprint(tmp_path / "one", same) == _fingerprint(tmp_path / "two", CODE)


def test_what_runs_counts(tmp_path: Path) -> None:
    changed = CODE.replace("3.14", "3.15")
    assert _fingerprint(tmp_path / "one", changed) != _fingerprint(tmp_path / "two", CODE)


def test_a_body_that_is_only_a_docstring(tmp_path: Path) -> None:
    only = 'class Empty:\n    """Nothing here."""\n'
    assert _fingerprint(tmp_path / "one", only) == _fingerprint(tmp_path / "two", "class Empty:\n    pass\n")


OF_ANY_PYTHON = r"""
def told(name, values, width=3, *rest, **more):
    with open(name, "rb") as file, open(f"{name}.txt") as other:
        found = {key: f"{value!r:>{width}.2f} of {len(values)}{'' if width else ' none'}" for key, value in more}
    match found:
        case {"a": (1, *_)} if (n := len(rest)) > 1:
            return f"it's \"{name}\"\n\t{{{n}}}" "{no}" f"{values[1:-1, ...]}" 'größe \\ \x00'
    return lambda x, /, *, y=-1.5e-300: x @ y if not x else (yield (*rest, 1j, b"\xff", 10**20))
"""
EXPECTED = "22c8415d2eee6c13bcdb27ad25b79ebf782cd2d2b7b6d4e458e73188fc8499eb"


def test_any_version_of_python_gives_the_same(tmp_path: Path) -> None:
    """The digest was the same with 3.11.7, 3.12.1 and 3.13.0; that of today's Python stands for it."""
    assert _fingerprint(tmp_path / "one", OF_ANY_PYTHON) == EXPECTED


@pytest.mark.parametrize(
    ("one", "other"), [("{x}", "x"), ("{x!r}", "{x}"), ("{x:.2f}", "{x:.3f}"), ("{x}a{y}", "{x}{y}a")]
)
def test_what_is_put_into_a_text_counts(tmp_path: Path, one: str, other: str) -> None:
    assert _fingerprint(tmp_path / "one", f"t = f'{one}'\n") != _fingerprint(tmp_path / "two", f"t = f'{other}'\n")


def _fingerprint(folder: Path, source: str) -> str:
    folder.mkdir()
    (folder / "module.py").write_text(source)
    return code_fingerprint(folder / "module.py")


# A small project: the room ``mer_models`` with a model, a helper of it, and a helper of that.

PROJECT = {
    "mer_models/__init__.py": "",
    "mer_models/net.py": "from mer_models.parts.images import grey\nNET = grey(1)\n",
    "mer_models/other.py": "OTHER = 2\n",
    "mer_models/parts/__init__.py": '"""Parts."""\n',
    "mer_models/parts/images.py": "from mer_models.parts import numbers\ndef grey(x):\n    return x * numbers.HALF\n",
    "mer_models/parts/numbers.py": "HALF = 0.5\n",
}


def _write(root: Path, changes: dict[str, str] | None = None) -> Path:
    """Write the project; changes : file -> other content."""
    for name, text in (PROJECT | (changes or {})).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def _net(root: Path) -> str:
    return code_fingerprint(root / "mer_models" / "net.py", root)


def test_code_that_is_imported_by_an_import_counts(tmp_path: Path) -> None:
    before = _write(tmp_path / "before")
    after = _write(tmp_path / "after", {"mer_models/parts/numbers.py": "HALF = 0.25\n"})
    assert _net(before) != _net(after)
    other = Path("mer_models") / "other.py"
    assert code_fingerprint(before / other, before) == code_fingerprint(after / other, after)


def test_code_that_is_not_imported_does_not_count(tmp_path: Path) -> None:
    changed = _write(tmp_path / "after", {"mer_models/other.py": "OTHER = 3\n"})
    assert _net(_write(tmp_path / "before")) == _net(changed)


@pytest.mark.parametrize(
    "images",
    [
        "from mer_models.tools import numbers\ndef grey(x):\n    return x * numbers.HALF\n",
        "from mer_models.tools import numbers as constants\ndef grey(x):\n    return x * constants.HALF\n",
        "import mer_models.tools.numbers\ndef grey(x):\n    return x * mer_models.tools.numbers.HALF\n",
        "from .tools import numbers\ndef grey(x):\n    return x * numbers.HALF\n",
    ],
    ids=["moved", "under another name", "by its whole name", "relatively"],
)
def test_moved_and_renamed_modules_are_the_same_code(tmp_path: Path, images: str) -> None:
    root = _write(tmp_path / "after", {"mer_models/net.py": "from mer_models.pictures import grey\nNET = grey(1)\n"})
    (root / "mer_models" / "parts" / "images.py").unlink()
    (root / "mer_models" / "pictures.py").write_text(images)
    (root / "mer_models" / "parts").rename(root / "mer_models" / "tools")
    assert _net(root) == _net(_write(tmp_path / "before"))


def test_the_same_name_from_other_code_counts(tmp_path: Path) -> None:
    both = {"mer_models/one.py": "K = 1\n", "mer_models/two.py": "K = 2\n"}
    source = "from mer_models.one import K as A\nfrom mer_models.two import K as B\nprint(A - B)\n"
    straight = _write(tmp_path / "straight", {"mer_models/net.py": source, **both})
    swapped = source.replace("K as A", "K as X").replace("K as B", "K as A").replace("K as X", "K as B")
    assert _net(straight) != _net(_write(tmp_path / "swapped", {"mer_models/net.py": swapped, **both}))


def test_imports_in_functions_count_and_those_for_type_checkers_do_not(tmp_path: Path) -> None:
    late = "def net():\n    from mer_models.other import OTHER\n    return OTHER\n"
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mer_models.other import OTHER\n"
    for number, (source, counts) in enumerate([(late, True), (typed, False)]):
        before = _write(tmp_path / f"before{number}", {"mer_models/net.py": source})
        after = _write(tmp_path / f"after{number}", {"mer_models/net.py": source, "mer_models/other.py": "OTHER = 3\n"})
        assert (_net(before) != _net(after)) == counts


@pytest.mark.parametrize(
    "block",
    [
        "try:\n    IMPORT\nexcept ImportError:\n    pass\n",
        "try:\n    import quick\nexcept ImportError:\n    IMPORT\n",
        "try:\n    pass\nfinally:\n    IMPORT\n",
        "for name in ():\n    pass\nelse:\n    IMPORT\n",
        "with open(NAME):\n    if NAME:\n        pass\n    elif not NAME:\n        IMPORT\n",
        "match NAME:\n    case 'a':\n        IMPORT\n",
        "class Net:\n    async def build(self):\n        while True:\n            IMPORT\n",
    ],
)
def test_an_import_counts_wherever_it_stands(tmp_path: Path, block: str) -> None:
    source = block.replace("IMPORT", "from mer_models.parts.images import grey")
    assert block.count("IMPORT") == 1
    before = _write(tmp_path / "before", {"mer_models/net.py": source})
    after = _write(
        tmp_path / "after", {"mer_models/net.py": source, "mer_models/parts/images.py": "def grey(x):\n    return x\n"}
    )
    assert _net(before) != _net(after)


def test_a_helper_of_a_plug_in_that_comes_or_goes_is_seen_at_once(tmp_path: Path) -> None:
    """In a notebook the process stays, and the file that imports them is as it was."""
    plug_in, package = tmp_path / "plug_in.py", tmp_path / "helpers"
    plug_in.write_text("from helpers import HALF\n")
    alone = code_fingerprint(plug_in)
    package.mkdir()
    (package / "__init__.py").write_text('"""Numbers."""\n')
    assert files_of(plug_in) == [plug_in]
    (package / "__init__.py").write_text('"""Numbers."""\nHALF = 0.5\n')
    assert files_of(plug_in) == [plug_in, package / "__init__.py"]
    assert code_fingerprint(plug_in) != alone
    shutil.rmtree(package)
    assert code_fingerprint(plug_in) == alone
    (tmp_path / "helpers.py").write_text("HALF = 0.5\n")
    assert files_of(plug_in) == [plug_in, tmp_path / "helpers.py"]


def test_a_package_that_runs_code_when_it_is_imported_counts(tmp_path: Path) -> None:
    busy = _write(tmp_path / "busy", {"mer_models/parts/__init__.py": "import os\nos.environ['X'] = '1'\n"})
    assert _net(busy) != _net(_write(tmp_path / "idle"))


def test_files_that_import_one_another_have_a_fingerprint(tmp_path: Path) -> None:
    circle = {
        "mer_models/net.py": "from mer_models.other import OTHER\nNET = 1\n",
        "mer_models/other.py": "def late():\n    from mer_models.net import NET\n    return NET\nOTHER = 2\n",
    }
    assert len(_net(_write(tmp_path, circle))) == 64


def test_a_plug_in_counts_with_the_files_beside_it(tmp_path: Path) -> None:
    plug_in, helper = tmp_path / "plug_in.py", tmp_path / "my_helper.py"
    plug_in.write_text("import numpy\nfrom my_helper import K\nprint(K)\n")
    helper.write_text("K = 1\n")
    (tmp_path / "unrelated.py").write_text("K = 1\n")
    assert set(files_of(plug_in)) == {plug_in, helper}
    before = code_fingerprint(plug_in)
    helper.write_text("K = 22\n")
    assert code_fingerprint(plug_in) != before


# The real models and the engine.


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    for room in ROOMS:
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def _all(root: Path) -> dict[str, str]:
    """Return what has a fingerprint -> its fingerprint, in the copy of the project at ``root``."""
    entries = {name: MODELS.get(name).file for name in MODELS.names()} | {"the engine": ENGINE}
    return {name: code_fingerprint(root / path.relative_to(ROOT), root) for name, path in entries.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("helper", "counts_for"),
    [
        ("preprocess/labels/action_units.py", {"au_fusion", "au_layered", "mhssa_gcn", "the engine"}),
        (
            "preprocess/faces/landmark_sets.py",
            {"au_fusion", "au_layered", "fgs_patch_means", "mhssa_gcn", "unified_fgs_vs"},
        ),
        ("preprocess/samples/layout.py", {"the engine"}),
        ("mer_models/_parts/manifold.py", {"mhssa_gcn"}),
        ("mer_models/_parts/rcn.py", {"rcn_a", "rcn_s", "rcn_w"}),
        ("bench/engine/batches.py", {"the engine"}),
        ("results/scores/multilabel.py", {"the engine"}),
        ("bench/study/protocols.py", set()),
        ("preprocess/labels/tasks.py", set()),
        ("preprocess/base/errors.py", set()),
    ],
)
def test_a_changed_helper_changes_the_keys_of_those_who_use_it(copy: Path, helper: str, counts_for: set[str]) -> None:
    before, content = _all(copy), (copy / helper).read_text()
    assert before == _all(ROOT)
    (copy / helper).write_text(f"{content}\nANOTHER_RULE = 1\n")
    after = _all(copy)
    (copy / helper).write_text(f"{content}\n# A remark.\n")
    assert _all(copy) == before
    (copy / helper).write_text(content)
    assert {name for name in before if before[name] != after[name]} == counts_for


@pytest.mark.slow
def test_moving_a_room_of_the_project_changes_no_key(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LEFT_OUT, "mer_models._building_blocks.published", "moved")
    root = shutil.copytree(copy, tmp_path / "moved")
    (root / "mer_models" / "_parts").rename(root / "mer_models" / "_building_blocks")
    (root / "preprocess" / "labels" / "action_units.py").rename(root / "preprocess" / "labels" / "facs.py")
    for file in root.rglob("*.py"):
        text = file.read_text()
        moved = re.sub(r"mer_models\._parts\b", "mer_models._building_blocks", text)
        file.write_text(re.sub(r"labels\.action_units\b", "labels.facs", moved))
    assert _all(root) == _all(ROOT)


def test_what_is_left_out_is_there() -> None:
    for module in LEFT_OUT:
        place = ROOT.joinpath(*module.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__init__.py").is_file(), module
