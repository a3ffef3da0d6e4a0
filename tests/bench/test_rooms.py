"""Somebody else's modules of our rooms' names: one line says which, where and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bench import rooms
from preprocess.base import code

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "import merbench; merbench.main()"
WORKER = "import bench.workers.pack"


def call(words: list[str], cwd: Path, path: list[Path]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("taken", "words", "where"),
    [
        ("bench.py", ["-c", COMMAND], "in PYTHONPATH: take it out"),
        ("results/__init__.py", ["-c", COMMAND, "list", "tasks"], "in PYTHONPATH: take it out"),
        ("preprocess.py", ["-m", "bench", "list", "tasks"], "in the current folder"),
    ],
)
def test_a_module_of_somebody_else_is_named(taken: str, words: list[str], where: str, tmp_path: Path) -> None:
    file = tmp_path / taken
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise RuntimeError('imported')\n")
    (tmp_path / "elsewhere").mkdir()
    here = where == "in the current folder"
    done = call(words, tmp_path if here else tmp_path / "elsewhere", [ROOT] if here else [tmp_path, ROOT])
    assert (done.returncode, done.stdout) == (2, "")
    room = taken.partition("/")[0].removesuffix(".py")
    expected = ROOT / room / "__init__.py"
    assert done.stderr.startswith(
        f"error: Python takes {file} for the module {room!r}, which merbench expects at {expected}. "
    )
    assert where in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["bench/run_all.py"], ["-m", "bench", "list", "models"]])
def test_a_python_without_the_packages_is_told_in_a_line(words: list[str], tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(plain)], check=True)
    python = str(plain / "bin" / "python")
    done = subprocess.run([python, *words], cwd=ROOT, env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: This Python, {python}, has no package typer, which merbench needs. Take the")
    assert len(done.stderr.splitlines()) == 1


def test_a_python_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match="2"):
        rooms.start([])
    assert capsys.readouterr().err.startswith("error: merbench needs Python 3.11 or newer, and ")
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert required.startswith(">=3.11,")


def test_without_docstrings_one_line_says_what_to_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    done = call(["-c", COMMAND, "list", "tasks"], ROOT, [ROOT])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: Python runs with -OO (or PYTHONOPTIMIZE=2)")
    assert len(done.stderr.splitlines()) == 1


def test_a_user_whom_the_machine_does_not_know_has_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setenv("HOME", "/mine")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    rooms._have_a_home()
    assert Path.home() == Path("/mine")
    monkeypatch.delenv("HOME")
    with pytest.raises(RuntimeError):
        Path.home()
    rooms._have_a_home()
    assert Path.home() == Path("/")


PROTOCOL = '''
from bench.study.protocols import Split, register_protocol


@register_protocol("halves", over="each", reference="A test")
def halves(subjects, rng):
    """Test on ─ half ─ of them."""
    return []
'''


def test_any_letter_can_be_read_and_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in = tmp_path / "größe" / "mine.py"
    plug_in.parent.mkdir()
    plug_in.write_text(PROTOCOL, encoding="utf-8")
    words = ["-c", COMMAND, "list", "protocols", "--plugins", str(plug_in)]
    with monkeypatch.context() as posix:
        for name, value in {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
            posix.setenv(name, value)
        done = call(words, tmp_path, [ROOT])
        assert done.returncode == 0, done.stderr
        assert "Test on ─ half ─ of them." in done.stdout
    for encoding, expected in {"ascii": "Test on ─ half ─ of them.", "latin-1": "Test on ? half ? of them."}.items():
        monkeypatch.setenv("PYTHONIOENCODING", encoding)
        done = call(words, tmp_path, [ROOT])
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout


def test_the_front_door_takes_its_own_rooms_whatever_lies_around(tmp_path: Path) -> None:
    for room in rooms.ROOMS:
        (tmp_path / f"{room}.py").write_text("raise RuntimeError('imported')\n")
    done = call([str(ROOT / "bench" / "run_all.py"), "--help"], tmp_path, [tmp_path])
    assert done.returncode == 0, done.stderr
    assert "Usage: merbench run" in done.stdout


def test_a_worker_says_so_too(tmp_path: Path) -> None:
    (tmp_path / "preprocess.py").write_text("raise RuntimeError('imported')\n")
    done = call(["-c", WORKER], tmp_path, [tmp_path, ROOT])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: Python takes {tmp_path / 'preprocess.py'} for")


def test_folders_without_code_are_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    assert call(["-c", COMMAND, "--help"], tmp_path, [tmp_path, ROOT]).returncode == 0


def test_the_rooms_are_those_whose_code_counts() -> None:
    assert rooms.ROOMS == code.ROOMS
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    found = [pattern.rstrip("*") for pattern in settings["setuptools"]["packages"]["find"]["include"]]
    for named in (settings["mypy"]["packages"], settings["importlinter"]["root_packages"], found):
        assert sorted(named) == list(rooms.ROOMS)
    assert rooms.wrong_room() == ""
