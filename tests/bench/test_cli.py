"""The command line: quick help, exit statuses, and one error line for everything a user can get wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_flow import write_drawn_tree
from local_runs import LocalRuns
from small_runs import WHOLE_TREE, write_flow_tree

from bench.cli import app
from results.store.outcome_store import OutcomeStore

ROOT = Path(__file__).resolve().parents[2]
VERBS = sorted(command.name or command.callback.__name__ for command in app.registered_commands if command.callback)
QUICK = ["--models", "majority", "--tracking-uri", "off"]


def outside(*arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the front door, or Python code, in a process of its own, away from the checkout."""
    command = ["-c", code] if code else [str(ROOT / "bench" / "run_all.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} if code else dict(os.environ)
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd="/", env=environment, timeout=120
    )


# Help.

IMPORTED = """
import contextlib, io, sys
sys.argv = ["merbench"]
from bench.cli import main
with contextlib.redirect_stdout(io.StringIO()) as said:
    try:
        main({arguments!r})
    except SystemExit as left:
        assert not left.code, left.code
assert said.getvalue()
print(*sorted(set(name.partition(".")[0] for name in sys.modules) & set({heavy!r})))
"""
HEAVY = ["torch", "ray", "mlflow", "pandas", "sklearn", "numpy", "pyarrow", "yaml", "cv2", "matplotlib"]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in ("run", "plan", "leaderboard"))])
def test_help_imports_nothing_heavy_so_that_it_answers_at_once(arguments: list[str]) -> None:
    said = outside(code=IMPORTED.format(arguments=arguments, heavy=HEAVY))
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() == ""


@pytest.mark.slow
def test_verbs_that_need_no_model_import_no_torch(tmp_path: Path) -> None:
    for arguments in (["list", "datasets"], ["list", "protocols"], ["list", "tasks"]):
        said = outside(code=IMPORTED.format(arguments=arguments, heavy=["torch", "ray", "mlflow"]))
        assert (said.returncode, said.stdout.strip()) == (0, ""), said.stderr


def test_the_front_door_works_from_anywhere_without_being_installed() -> None:
    said = outside("--help")
    assert said.returncode == 0, said.stderr
    assert "--models" in said.stdout
    assert "--overwrite" in said.stdout


def test_python_m_bench_is_the_command_line() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "bench", "list", "seeds"], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert said.returncode == 2
    assert said.stderr.startswith("error: Unknown kind 'seeds'.")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&- <&-"])
def test_nobody_need_listen(tmp_path: Path, closed: str) -> None:
    """A standard stream that was closed is in no way: not of what is printed, nor of a file that is written."""
    store = tmp_path / "runs"
    OutcomeStore(store, create=True)
    words = f"-m bench leaderboard --results {store} --format csv"
    for command, status in ((f"{words} {closed}", 0), (f"-m bench list seeds {closed}", 2)):
        done = subprocess.run(["sh", "-c", f"{sys.executable} {command}"], cwd=ROOT, stderr=-1, text=True, timeout=120)
        assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr


def test_a_full_disk_below_a_log_is_told() -> None:
    with open("/dev/full", "w") as full:
        said = subprocess.run(
            [sys.executable, "-m", "bench", "--help"], stdout=full, stderr=-1, text=True, cwd=ROOT, timeout=120
        )
    assert said.returncode == 2
    assert said.stderr == (
        "error: what is printed, or a temporary file: No space left on device. Free some space, then run the same "
        "command again: what is finished is kept.\n"
    )


@pytest.mark.slow
def test_too_little_memory_is_told() -> None:
    """A limit as batch systems set it, beyond what Python itself takes."""
    code = (
        "import resource; from bench.cli import app, main; import numpy\n"
        "@app.command('hungry')\n"
        "def hungry() -> None: numpy.ones(2**32)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33)); main(['hungry'])"
    )
    said = outside(code=code)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("error: There is not enough memory (Unable to allocate 32.0 GiB for an array")
    assert said.stderr.endswith("fewer --workers. What is finished is kept.\n")


@pytest.mark.slow
def test_the_front_door_shows_an_error_and_no_traceback() -> None:
    # With an address, no Ray is started meanwhile.
    said = outside("--models", "ststent", "--address", "127.0.0.1:9")
    assert said.returncode == 2
    assert said.stderr.startswith("error: Unknown model 'ststent'. Did you mean: ststnet")
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


@pytest.mark.slow
def test_every_verb_has_help(merbench: LocalRuns) -> None:
    assert {
        "compare",
        "doctor",
        "inspect",
        "leaderboard",
        "list",
        "plan",
        "prepare",
        "report",
        "run",
        "status",
        "sync",
        "test",
    } <= set(VERBS)
    overview = merbench("--help")
    for verb in VERBS:
        assert f"\n  {verb} " in overview.out
        said = merbench(verb, "--help")
        assert said.status == 0
        assert "Usage: merbench " in said.out


# Bad input: exit status 2, one error on stderr, nothing half-written.


def refused(merbench: LocalRuns, *arguments: str) -> str:
    """Run a command that must be refused, and return its error."""
    said = merbench(*arguments)
    assert said.status == 2
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.out + said.err
    assert 'File "' not in said.err
    return said.err


def assert_nothing_half_written(folder: Path) -> None:
    """A refused run may leave an empty store and whole shards, and no piece of anything."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix == ".tmp" or "outcomes" in path.parts]
    for path in files:
        if path.name == "store.json":
            json.loads(path.read_text())


def no_subjects(tree: Path) -> str:
    for subject in sorted(tree.iterdir()):
        subject.rename(tree / f"{subject.name}.old")
        (tree / f"{subject.name}.old" / "u_test").rename(tree / f"{subject.name}.old" / "test")
    return "No dataset was recognised"


def label_that_is_no_number(tree: Path) -> str:
    (tree / "sub02" / "u_test" / "1").rename(tree / "sub02" / "u_test" / "happy")
    return "sub02/u_test/happy: 'happy' is not a label. Expected 0"


def unreadable_image(tree: Path) -> str:
    path = next((tree / "sub02" / "u_test" / "0").iterdir())
    path.write_bytes(path.read_bytes()[:40])
    return f"{path} is not a readable PNG"


def wrongly_sized_image(tree: Path) -> str:
    path = next((tree / "006" / "u_test" / "2").iterdir())
    cv2.imwrite(str(path), np.zeros((30, 28, 3), np.uint8))
    return f"{path} is 28x30 pixels"


def same_clip_twice(tree: Path) -> str:
    path = tree / "sub01" / "u_test" / "0" / "sub01_EP00_1.png"
    (tree / "sub01" / "u_test" / "1" / path.name).write_bytes(path.read_bytes())
    return "Sample casme2/sub01/EP00_1 is there twice"


def subject_of_unclear_database(tree: Path) -> str:
    (tree / "007").rename(tree / "person7")
    return "person7: its name does not tell its database"


def one_class_in_training(tree: Path) -> str:
    for subject in ("sub02", "sub03"):
        for path in (path for label in "12" for path in (tree / subject / "u_test" / label).iterdir()):
            path.unlink()
    return "casme2, protocol loso: without 'casme2/sub01', all 4 training samples show class 'negative'"


def single_subject(tree: Path) -> str:
    (tree / "007").rename(tree.parent / "007")
    return "samm has 1 subject(s)"


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        no_subjects,
        label_that_is_no_number,
        unreadable_image,
        wrongly_sized_image,
        same_clip_twice,
        subject_of_unclear_database,
        one_class_in_training,
        single_subject,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_a_bad_tree_is_refused_with_the_place(
    merbench: LocalRuns, tree: Path, tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    expected = spoil(tree)
    results = tmp_path / "runs"
    for verb in ("run", "plan"):
        assert expected in refused(merbench, verb, "--data", str(tree), "--results", str(results), *QUICK)
        assert_nothing_half_written(results)
    assert merbench.packs == 0


def test_after_the_data_is_mended_the_same_command_works(merbench: LocalRuns, tree: Path, tmp_path: Path) -> None:
    command = ["run", "--data", str(tree), "--results", str(tmp_path / "runs"), *QUICK]
    unreadable_image(tree)
    refused(merbench, *command)
    write_flow_tree(tree, WHOLE_TREE)
    assert merbench(*command).status == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--models", "ststent"], "Unknown model 'ststent'. Did you mean: ststnet"),
        (["--models", ","], "--models: given [','], needs at least one name"),
        (["--tasks", "megc5"], "Unknown task 'megc5'. Did you mean: megc3?"),
        (["--protocols", "loko"], "Unknown protocol 'loko'. Did you mean: loso"),
        (["--selection", "best"], "Unknown selection 'best'."),
        (["--datasets", "synth_c"], "--datasets: no dataset 'synth_c' in the data given. Did you mean: synth_"),
        (["--data", "/does/not/exist"], "Data path /does/not/exist does not exist"),
        (["--data", "flow_tre=/tmp"], "Unknown dataset 'flow_tre'. Did you mean: flow_tree?"),
        (["--seeds", "-1"], "--seeds: given ['-1'], seeds must be 0 or more"),
        (["--seeds", "0,x"], "--seeds: given 'x', expected a valid integer"),
        (["--seeds=--3"], "--seeds: given '--3'"),
        (["--seeds", "0-4"], "--seeds: given '0-4'"),
        (["--seeds", ","], "needs at least one seed"),
        (["--epochs", "0"], "--epochs: given 0, expected greater than or equal to 1"),
        (["--workers", "0"], "--workers: given 0"),
        (["--device", "tpu"], "device: given 'tpu', expected 'auto', 'cpu' or 'cuda'"),
        (["--preset", "quik"], "preset: given 'quik'"),
        (["--overwrite", "some"], "overwrite: given 'some', expected 'missing', 'failed' or 'all'"),
        (["--set", "ststnet"], "expected MODEL.KEY=VALUE"),
        (["--set", "flow_svm.c=3"], "flow_svm has no hyper-parameter 'c'"),
        (["--set", "flow_svm.C=many"], "--set flow_svm.C=many: expected float (default 28.0)"),
        (["--set", "flow_svm.C={"], "--set flow_svm.C={: expected float"),
        (["--set", "flow_svm.C=-1"], "flow_svm.C is -1.0, but must be a number above 0"),
        (["--set", "htnet.dim=24"], "model 'htnet' is not in this run"),
        (["--tracking-uri", "./mlruns"], "plain folders"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_option_is_refused_with_what_was_given(
    merbench: LocalRuns, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    results = tmp_path / "runs"
    models = [] if "--models" in arguments else ["--models", "majority,flow_svm"]
    assert expected in refused(merbench, "run", "--results", str(results), *models, *arguments)
    assert_nothing_half_written(results)
    assert merbench.packs == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("run --modles x", "merbench run: There is no option --modles. Did you mean: --models"),
        ("plan --qqqq=1", "merbench plan: There is no option --qqqq. Known: --address, "),
        ("leaderboard --result x", "merbench leaderboard: There is no option --result. Did you mean: --results"),
        ("run --data", "Option '--data' requires an argument."),
        ("run stray", "merbench run: Got unexpected extra argument"),
        ("inspect", "merbench inspect: Missing argument"),
        ("synth --like casme2 --subjects many --out x", "merbench synth: Invalid value for '--subjects': "),
        ("runn", "merbench: No such command 'runn'. Did you mean 'run'?"),
        ("datasets xyzzy", "merbench datasets: No such command 'xyzzy'. Known: detect, report."),
    ],
)
def test_words_that_are_no_command_are_told_like_every_other_mistake(
    merbench: LocalRuns, arguments: str, expected: str
) -> None:
    error = refused(merbench, *arguments.split())
    assert error.startswith(f"error: {expected}")
    assert len(error.splitlines()) == 1


def test_without_a_command_the_help_is_shown(merbench: LocalRuns) -> None:
    for arguments in ([], ["datasets"]):
        said = merbench(*arguments)
        assert said.status == 2
        assert said.err.startswith("Usage: merbench ")
        assert "Commands:" in said.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs: many\n", "epochs: given 'many', expected a valid integer"),
        ("epochs: 0\n", "epochs: given 0"),
        ("modles: [ststnet]\n", "unknown key 'modles'. Did you mean: models?"),
        ("models: {a: 1}\n", "models: given {'a': '1'}, expected a valid list"),
        ("models: [majority\n", "is not valid YAML"),
        ("set:\n  flow_svm.kernel: true\n", "run.yaml, line 2: flow_svm.kernel=True: expected str"),
        ("set:\n  flow_svm: {c: 3}\n", "flow_svm has no hyper-parameter 'c'"),
    ],
)
def test_a_bad_configuration_file_is_refused(merbench: LocalRuns, tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    models = [] if "models" in text else ["--models", "flow_svm"]
    error = refused(merbench, "run", "--config", str(file), "--results", str(tmp_path / "runs"), *models)
    assert expected in error
    assert str(file) in error
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_results_that_cannot_be_written(merbench: LocalRuns, tmp_path: Path) -> None:
    """A file stands where the folder should be made: not even root can write there."""
    (tmp_path / "file").write_text("")
    for results in (tmp_path / "file", tmp_path / "file" / "runs"):
        for verb in ("run", "plan"):
            assert str(results) in refused(merbench, verb, "--results", str(results), *QUICK)


def test_results_of_another_schema_version(merbench: LocalRuns, tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text('{"schema_version": 99}')
    for verb in ("run", "plan", "status", "leaderboard", "compare", "sync", "test"):
        options = QUICK if verb in ("run", "plan") else []
        error = refused(merbench, verb, "--results", str(tmp_path), *options)
        assert "store schema version 99, this program reads version 1" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store.json"]


def test_results_in_a_folder_of_something_else(merbench: LocalRuns, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    error = refused(merbench, "run", "--results", str(tmp_path), *QUICK)
    assert "is no results store" in error
    assert "thesis.tex" in error
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_relative_results_in_a_ray_job(merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.chdir(tmp_path)
    for arguments in ([], ["--results", "runs"]):
        assert "is relative, and this is a Ray job" in refused(merbench, "run", *QUICK, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["status", "leaderboard", "compare", "sync", "test"])
def test_reading_where_nothing_was_run(merbench: LocalRuns, tmp_path: Path, verb: str) -> None:
    error = refused(merbench, verb, "--results", str(tmp_path / "runs"))
    assert error == f"error: No results at {tmp_path}/runs; run `merbench run --results {tmp_path}/runs` first.\n"
    assert not list(tmp_path.iterdir())


def test_a_damaged_store_file(merbench: LocalRuns, tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text("{")
    assert f"{tmp_path}/store.json is not JSON" in refused(merbench, "status", "--results", str(tmp_path))


def test_an_option_repeated_or_separated_by_commas_is_the_same(merbench: LocalRuns, tmp_path: Path) -> None:
    data = write_drawn_tree(tmp_path / "drawn")
    common = ["plan", "--data", str(data), "--results", str(tmp_path / "runs"), "--protocols", "cde"]
    first = merbench(*common, "--models", "majority,flow_svm", "--seeds", "0, 1")
    second = merbench(*common, "--models", "majority", "--models", "flow_svm", "--seeds", "0", "--seeds", "1")
    table = [said.out[said.out.index("model ") :] for said in (first, second)]
    assert first.status == 0
    assert table[0] == table[1]
    assert "4 studies, 72 folds to train" in table[0]
