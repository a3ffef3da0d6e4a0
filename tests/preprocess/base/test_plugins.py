"""Plug-ins without packaging: what is found, what a failure says, and that loading again never clashes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from preprocess.base.errors import UsageError
from preprocess.base.plugins import load_plugins, receive, shipment, unload_plugins
from preprocess.labels.tasks import TASKS

ROOT = Path(__file__).resolve().parents[3]

TASK = """
from preprocess.labels.tasks import TASKS, Task

TASKS.add("{name}", Task("{name}", ("{name}_yes", "no"), lambda dataset: {{}}, "a test"), origin=__name__)
"""


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def names(file: Path | str) -> list[str]:
    return [one.name for one in load_plugins([str(file)])]


def test_a_file_registers_what_it_registers(tmp_path: Path) -> None:
    file = write(tmp_path / "smiles.py", TASK.format(name="smiles"))
    (registered,) = load_plugins([str(file)])
    assert (registered.kind, registered.name, registered.module) == ("task", "smiles", "smiles")
    assert TASKS.get("smiles").classes == ("smiles_yes", "no")
    unload_plugins()
    assert "smiles" not in TASKS.names()
    assert "smiles" not in sys.modules


def test_the_same_file_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "smiles.py", f"print('imported')\n{TASK.format(name='smiles')}")
    monkeypatch.chdir(tmp_path)
    assert [one.name for one in load_plugins([str(file), "smiles.py", "./smiles.py"])] == ["smiles"]
    assert names(file) == ["smiles"]


def test_what_a_test_took_away_is_there_again_after_loading_again(tmp_path: Path) -> None:
    file = write(tmp_path / "smiles.py", TASK.format(name="smiles"))
    entry = names(file) and TASKS.get("smiles")
    TASKS._remove("smiles", entry)
    assert names(file) == ["smiles"]
    assert TASKS.get("smiles") is entry


def test_a_changed_file_takes_the_place_of_the_old(tmp_path: Path) -> None:
    file = write(tmp_path / "smiles.py", TASK.format(name="smiles"))
    assert names(file) == ["smiles"]
    write(file, TASK.format(name="frowns"))
    assert names(file) == ["frowns"]
    assert "smiles" not in TASKS.names()
    other = write(tmp_path / "elsewhere" / "smiles.py", TASK.format(name="smiles"))
    assert names(other) == ["smiles"]
    assert "frowns" not in TASKS.names()


def test_a_changed_helper_is_imported_again_by_all_who_use_it(tmp_path: Path) -> None:
    helper = write(tmp_path / "names_of_mine.py", "NAME = 'smiles'\n")
    for number in (1, 2):
        task = TASK.replace('"{name}"', f"NAME + '{number}'").format(name="x")
        write(tmp_path / f"plug{number}.py", f"from names_of_mine import NAME\n{task}")
    both = [str(tmp_path / "plug1.py"), str(tmp_path / "plug2.py")]
    assert [one.name for one in load_plugins(both)] == ["smiles1", "smiles2"]
    assert len(shipment().plugins) == 2
    write(helper, "NAME = 'frowns'\n")
    assert [one.name for one in load_plugins(both)] == ["frowns1", "frowns2"]
    assert TASKS.names("smiles*") == []
    assert len(shipment().plugins) == 2


def test_a_folder_gives_all_its_files_and_a_package_its_own_modules(tmp_path: Path) -> None:
    write(tmp_path / "mine" / "one.py", TASK.format(name="one"))
    write(tmp_path / "mine" / "two.py", TASK.format(name="two"))
    write(tmp_path / "mine" / "_not_this.py", "raise RuntimeError\n")
    assert names(tmp_path / "mine") == ["one", "two"]
    write(tmp_path / "pack" / "__init__.py", "")
    write(tmp_path / "pack" / "_parts.py", "NAME = 'three'\n")
    task = TASK.replace('"{name}"', "NAME").format(name="x")
    write(tmp_path / "pack" / "three.py", f"from ._parts import NAME\n{task}")
    assert names(tmp_path / "pack") == ["three"]
    assert names(tmp_path / "pack" / "three.py") == ["three"]


def test_a_module_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "lab" / "__init__.py", "")
    write(tmp_path / "lab" / "tasks.py", TASK.format(name="lab_task"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert names("lab.tasks") == ["lab_task"]
    assert sys.modules["lab.tasks"].__file__ == str(tmp_path / "lab" / "tasks.py")


def refused(*given: str) -> str:
    with pytest.raises(UsageError) as error:
        load_plugins(given)
    return str(error.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\ndef broken(:\n", "broken.py, line 2: SyntaxError: invalid syntax: def broken(:"),
        ("import os\nimport not_installed_at_all\n", "broken.py, line 2: ModuleNotFoundError: No module named"),
        ("x = 1\n\nx / 0\n", "broken.py, line 3: ZeroDivisionError: division by zero"),
        ("def f():\n    g()\n\n\nf()\n", "broken.py, line 2: NameError: name 'g' is not defined"),
        ("import sys\nsys.exit('usage: mine')\n", "broken.py, line 2: SystemExit: usage: mine"),
        ("# nothing here\n", "broken.py registers nothing. Expected a decorator such as @register_model"),
    ],
    ids=["syntax", "import", "exception", "exception in a function", "exit", "nothing"],
)
def test_a_file_that_fails_says_why_and_where(tmp_path: Path, source: str, said: str) -> None:
    file = write(tmp_path / "broken.py", source)
    text = refused(str(file))
    assert text.startswith(f"plug-in {file}: ")
    assert said in text
    assert "broken" not in sys.modules


def test_a_mistake_in_a_helper_is_told_there(tmp_path: Path) -> None:
    file = write(tmp_path / "plug.py", "import helper_of_mine\n")
    helper = write(tmp_path / "helper_of_mine.py", "VALUE = 1\nVALUE.no_such_thing\n")
    assert f"plug-in {file}: {helper}, line 2: AttributeError" in refused(str(file))
    write(helper, "VALUE = (\n")
    assert f"plug-in {file}: {helper}, line 1: SyntaxError" in refused(str(file))


def test_a_helper_that_is_put_beside_it_as_advised_is_found(tmp_path: Path) -> None:
    """Also by the process that gave the advice, such as a notebook's."""
    file = write(tmp_path / "plug.py", f"import helper_of_mine\n{TASK.format(name='smiles')}")
    assert "put helper_of_mine.py beside the plug-in" in refused(str(file))
    write(tmp_path / "helper_of_mine.py", "VALUE = 1\n")
    assert names(file) == ["smiles"]
    assert shipment().plugins[0].tops() == ["helper_of_mine", "plug"]


def test_a_name_that_is_taken_names_both_and_nothing_of_the_file_stays(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", TASK.format(name="mine") + TASK.format(name="emotion5"))
    text = refused(str(file))
    assert f"plug-in {file}: {file}, line 8: Two tasks are called 'emotion5'" in text
    assert "one from preprocess.labels.tasks, one from mine" in text
    assert "mine" not in TASKS.names()


TAKES_A_BUILT_IN_NAME = """
from preprocess.base.errors import UsageError
from preprocess.base.plugins import load_plugins

try:
    load_plugins(["mine.py"])
except UsageError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_built_in_name_is_refused_before_anything_else_was_looked_up(tmp_path: Path) -> None:
    write(tmp_path / "mine.py", "from preprocess.datasets import DATASETS\nDATASETS.add('samm', 1, origin=__name__)\n")
    command = [sys.executable, "-c", TAKES_A_BUILT_IN_NAME]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True)
    assert "mine.py, line 2: Two datasets are called 'samm': one from preprocess.datasets.samm, one from" in done.stdout


def test_a_name_that_two_plug_ins_take(tmp_path: Path) -> None:
    one = write(tmp_path / "one.py", TASK.format(name="mine"))
    two = write(tmp_path / "two.py", TASK.format(name="mine"))
    assert "Two tasks are called 'mine': one from one, one from two" in refused(str(one), str(two))


def test_what_is_no_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "near.py", "")
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'gone.py'} does not exist" in refused("gone.py")
    assert "Did you mean the file near.py?" in refused("near")
    assert "no module of this name" in refused("no_such_module.at_all")
    assert "is no Python file" in refused(str(write(tmp_path / "notes.txt", "")))
    assert "holds no Python file" in refused("empty")
    assert "expected a Python file" in refused("")
    assert "like a part of merbench" in refused(str(write(tmp_path / "results.py", "")))
    assert "Python's own module 'json'" in refused(str(write(tmp_path / "json.py", "")))
    assert "like the module 'pytest' of" in refused(str(write(tmp_path / "pytest.py", "")))
    assert "cannot be a module's name" in refused(str(write(tmp_path / "my model.py", "")))


def test_two_files_of_one_name(tmp_path: Path) -> None:
    one = write(tmp_path / "a" / "mine.py", TASK.format(name="one"))
    two = write(tmp_path / "b" / "mine.py", TASK.format(name="two"))
    text = refused(str(one), str(two))
    assert f"{one} and {two} would both be the module 'mine'" in text


WORKER = """
import pickle, sys
from preprocess.base.plugins import receive
from preprocess.labels.tasks import TASKS

given, thing = pickle.load(sys.stdin.buffer)
receive(given)
receive(given)
print(*pickle.loads(thing), TASKS.names("x*"), TASKS.code("xtask"))
"""


def test_a_worker_that_does_not_see_the_files_knows_all_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path / "here" / "_values.py", "VALUES = ('a', 'b')\n")
    write(tmp_path / "here" / "tools" / "__init__.py", "from .names import NAME\n")
    write(tmp_path / "here" / "tools" / "names.py", "NAME = 'xtask'\n")
    task = TASK.replace('"{name}"', "NAME").format(name="x")
    head = "from _values import VALUES\nfrom tools import NAME\nclass Own(tuple): pass\nOWN = Own(VALUES)\n"
    load_plugins([str(write(tmp_path / "here" / "plug.py", head + task))])
    known = TASKS.code("xtask")
    given = pickle.dumps((shipment(), pickle.dumps(sys.modules["plug"].OWN)))
    (tmp_path / "here").rename(tmp_path / "gone")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", WORKER]
    done = subprocess.run(command, input=given, capture_output=True, env=environment, cwd=tmp_path, check=False)
    assert done.stderr == b""
    assert done.stdout.decode().split() == ["a", "b", "['xtask']", known]
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_a_worker_removes_what_one_that_was_killed_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_plugins([str(write(tmp_path / "plug.py", TASK.format(name="xtask")))])
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    given = pickle.dumps((shipment(), pickle.dumps(())))
    for code, left in ((WORKER + "import os; sys.stdout.flush(); os.kill(os.getpid(), 9)", 1), (WORKER, 0)):
        subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, env=environment, check=False)
        assert len(list(temporary.glob("merbench-plugins-*/plug.py"))) == left


def test_a_plug_in_that_a_worker_cannot_import_names_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "site" / "lab_of_mine.py", "")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    file = write(tmp_path / "plug.py", f"import lab_of_mine\n{TASK.format(name='xtask')}")
    load_plugins([str(file)])
    given = shipment()
    unload_plugins()
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "lab_of_mine")
    with pytest.raises(
        UsageError, match=r"plug\.py, line 1 on node .*ModuleNotFoundError.*Install lab_of_mine on every"
    ):
        receive(given)
