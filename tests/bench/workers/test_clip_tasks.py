"""Making shards through a real local Ray: equal bytes, workers that die, nodes that do not see the data."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.workers import clip_tasks as clip_fan_out
from bench.workers import clip_threads
from bench.workers.clip_tasks import RETRIES, here_or_on_ray, make_on_ray
from bench.workers.clip_threads import ClipThreads
from bench.workers.ray_session import RaySession
from preprocess.base.errors import DataError, UsageError
from preprocess.base.plugins import load_plugins
from preprocess.recipes import FEATURES, FeatureRecipe
from preprocess.samples.clip import ClipError
from preprocess.shards import pace
from preprocess.shards.features import feature_of
from preprocess.shards.making import Result, Stopped, SubjectJob, make
from preprocess.shards.prepare import prepare
from preprocess.shards.prepared import PreparedDataset
from preprocess.steps import STEPS

STEPS_OF_TESTS = Path(__file__).parents[2] / "preprocess"


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the steps of the tests as a package that registers through an entry point; return their notes' folder."""
    folder, said = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("notes")
    for name in ("clip_steps_plug_in.py", "recordings.py"):
        shutil.copy(STEPS_OF_TESTS / name, folder)
    card = folder / "clip_steps_plug_in-0.1.dist-info"
    card.mkdir()
    (card / "METADATA").write_text("Metadata-Version: 2.1\nName: clip-steps-plug-in\nVersion: 0.1\n")
    (card / "entry_points.txt").write_text("[merbench.steps]\nclip_steps = clip_steps_plug_in\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("MERBENCH_TEST_NOTES", str(said))
        patch.delitem(sys.modules, "clip_steps_plug_in", raising=False)
        for registry in (STEPS, FEATURES):
            registry.names()  # filled before it is copied: a module registers once a process
            for name in ("_entries", "_origins"):
                patch.setattr(registry, name, dict(getattr(registry, name)))
            patch.setattr(registry, "_loaded", False)
        from recordings import mean_recipe

        for recipe in (mean_recipe(), mean_recipe("mean_more", add=1000), mean_recipe("wide", shape=(9, 9))):
            FEATURES.add(recipe.name, recipe, origin="the test")
        yield said


@pytest.fixture
def films(tmp_path: Path, notes: Path) -> Path:
    from recordings import write_recordings

    for path in notes.iterdir():
        path.unlink()
    write_recordings(tmp_path / "films")
    return tmp_path / "films"


@pytest.fixture(scope="module")
def session(notes: Path) -> Iterator[RaySession]:
    """Connect one local Ray with two cores for all tests of this module; its workers know the steps."""
    # A short path, since the sockets in it may have names of 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_TMPDIR", folder)
        with RaySession(None, 2) as session:
            yield session


def prepare_films(films: Path, root: Path, execute: Any = None, features: Sequence[str] = ("mean",)) -> PreparedDataset:
    from recordings import read_recordings

    raw = read_recordings(films)
    return prepare(raw, root, features, execute=execute) if execute else prepare(raw, root, features)


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != pace.FILE]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.slow
@pytest.mark.ray
def test_ray_makes_the_same_bytes(films: Path, session: RaySession, tmp_path: Path) -> None:
    from ray.data import DataContext
    from recordings import frame_file

    frame_file(films, "s1", "a2", 2).write_bytes(b"no image")
    session.cluster()
    features = ("mean", "mean_more")
    here = prepare_films(films, tmp_path / "here", features=features)
    there = prepare_films(films, tmp_path / "there", make_on_ray, features)
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert there.features == here.features
    assert list(there.skipped["mean"]) == ["films/s1/a2"]
    context = DataContext.get_current()
    assert context.enable_progress_bars, "Ray Data is quiet while it is needed, and as it was after it"
    assert context.max_errored_blocks == 0
    assert logging.getLogger("ray.data").level < logging.CRITICAL


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(films: Path, notes: Path, session: RaySession, tmp_path: Path) -> None:
    from recordings import calls

    session.cluster()
    (notes / "kill-once-a2").touch()
    prepared = prepare_films(films, tmp_path / "shards", make_on_ray)
    said = calls(notes)
    assert said.count("films/s1/a1 +0") == 2
    assert said.count("films/s3/c2 +0") == 1
    prepare_films(films, tmp_path / "undisturbed")
    assert files(tmp_path / "shards") == files(tmp_path / "undisturbed")
    assert prepared.skipped == {"mean": {}}


@pytest.mark.ray
@pytest.mark.slow
def test_a_subject_that_always_kills_its_worker_is_told_when_the_others_are_done(
    films: Path, notes: Path, session: RaySession, tmp_path: Path
) -> None:
    session.cluster()
    (notes / "kill-b1").touch()
    with pytest.raises(DataError, match=f"films/s2: its worker ended {RETRIES + 1} times without an answer"):
        prepare_films(films, tmp_path / "shards", make_on_ray)
    there = sorted(path.parent.name for path in (tmp_path / "shards").rglob("part.parquet"))
    assert there == ["subject=s1", "subject=s3"]


@pytest.mark.slow
@pytest.mark.ray
def test_errors_of_workers_are_errors_of_the_run(films: Path, notes: Path, session: RaySession, tmp_path: Path) -> None:
    session.cluster()
    with pytest.raises(DataError, match=r"Feature wide of films/s\d/.. is float32 \(8, 8\); its recipe promises"):
        prepare_films(films, tmp_path / "shards", make_on_ray, ["wide"])
    (notes / "bug-c1").touch()
    with pytest.raises(DataError, match="films/s3/c1, feature mean: ZeroDivisionError: a bug of the step"):
        prepare_films(films, tmp_path / "shards", make_on_ray)


STEP_OF_A_FILE = """
from dataclasses import replace
from pathlib import Path
from step_beside_it import FACTOR, blank
from preprocess.steps import register_step

if not Path({mark!r}).exists():
    raise RuntimeError("not here")

@register_step("blank", version=1)
def step(work):
    \"\"\"Make a tensor.\"\"\"
    return replace(work, tensor=blank(FACTOR), notes=(__file__,))
"""
BESIDE_IT = "import numpy as np\nFACTOR = 3\ndef blank(value):\n    return np.full((2, 2), value, dtype=np.float32)\n"


@pytest.mark.ray
@pytest.mark.slow
def test_workers_get_a_plug_in_that_they_do_not_see(
    films: Path, session: RaySession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.cluster()
    own, mark = tmp_path / "own", tmp_path / "mark"
    own.mkdir()
    mark.touch()
    (own / "step_beside_it.py").write_text(BESIDE_IT)
    (own / "step_of_a_file.py").write_text(STEP_OF_A_FILE.format(mark=str(mark)))
    load_plugins([str(own / "step_of_a_file.py")])
    recipe = FeatureRecipe("blank", 1, "a test", (2, 2), "hw", "float32", (("blank", {}),))
    monkeypatch.setitem(FEATURES._entries, "blank", recipe)

    def elsewhere(jobs: Sequence[SubjectJob]) -> Iterator[Result]:
        own.rename(tmp_path / "moved")
        try:
            yield from make_on_ray(jobs)
        finally:
            (tmp_path / "moved").rename(own)

    prepared = prepare_films(films, tmp_path / "shards", elsewhere, ["blank"])
    assert (prepared.load("blank") == 3).all()
    made_by = {note for notes in prepared.features["blank"].remarks.notes.values() for note in notes}
    assert made_by
    assert not any(file.startswith(str(tmp_path)) for file in made_by)
    prepare_films(films, tmp_path / "here", features=["blank"])
    assert {path.name for path in (tmp_path / "here").rglob("*")} >= {"part.parquet"}
    (own / "step_beside_it.py").write_text(BESIDE_IT.replace("3", "4"))
    load_plugins([str(own / "step_of_a_file.py")])
    mark.unlink()
    with pytest.raises(UsageError, match=r"own/step_of_a_file\.py, line 8 on node .*RuntimeError: not here"):
        prepare_films(films, tmp_path / "shards", make_on_ray, ["blank"])


@pytest.mark.ray
@pytest.mark.slow
def test_a_file_that_goes_while_shards_are_made_is_a_skipped_clip(
    films: Path, session: RaySession, tmp_path: Path
) -> None:
    from recordings import frame_file

    session.cluster()

    def lose_a_file(jobs: Sequence[SubjectJob]) -> Iterator[Result]:
        frame_file(films, "s2", "b1", 1).unlink()
        return make_on_ray(jobs)

    prepared = prepare_films(films, tmp_path / "shards", lose_a_file)
    assert list(prepared.skipped["mean"]) == ["films/s2/b1"]


def test_a_node_that_does_not_see_the_data_is_named(films: Path) -> None:
    from recordings import frame_file, read_recordings

    job = SubjectJob("films", "s2", tuple(read_recordings(films).clips.values()), ())
    seen_here_only = clip_fan_out._Unseen(frame_file(films, "s2", "b1", 1), "worker-7")
    with pytest.raises(
        DataError, match=r"Node worker-7 does not see .*1\.png\. The raw data must lie at the same path"
    ):
        clip_fan_out._result(job, seen_here_only)
    moved = [dataclasses.replace(clip, files={1: films / "elsewhere.png"}) for clip in job.clips]
    unseen = clip_fan_out._first_unseen(dataclasses.replace(job, clips=tuple(moved)))
    assert unseen is not None
    assert unseen.path == films / "elsewhere.png"
    assert clip_fan_out._first_unseen(job) is None


def tasks_of(films: Path, feature: str = "mean") -> list[SubjectJob]:
    """Return a job a clip, six in all and of one size."""
    from recordings import read_recordings

    raw = read_recordings(films)
    made = (feature_of(raw, feature), "its source")
    return [SubjectJob("films", name, (clip,), (made,)) for name, clip in raw.clips.items()]


@pytest.mark.parametrize(
    ("worth", "spreads", "here"),
    [(2.5, True, False), (4.5, True, True), (2.5, False, True)],
    ids=["three seconds are left when the third is begun", "too little is left", "one CPU only"],
)
def test_ray_is_used_where_enough_is_left_to_do(
    films: Path, monkeypatch: pytest.MonkeyPatch, worth: float, spreads: bool, here: bool
) -> None:
    """The first subject's pace is not believed: it also paid for loading what all of them need."""
    taken_back, seconds = threading.Event(), iter([0.8, *[1.0] * 5])

    class Pool(ClipThreads):
        def take_back(self) -> list[SubjectJob]:
            taken = super().take_back()
            taken_back.set()
            return taken

    def timed(job: SubjectJob, stop: Any) -> Result:
        took = next(seconds)
        if not here and took == 1.0:
            # Keeps the thread from finishing more before the first two are judged.
            third.append(job)
            assert len(third) == 1 or taken_back.wait(10)
        return dataclasses.replace(make(job, stop), seconds=took)

    third: list[SubjectJob] = []
    monkeypatch.setattr(clip_threads, "make", timed)
    monkeypatch.setattr(clip_fan_out, "ClipThreads", Pool)
    monkeypatch.setattr(clip_fan_out, "make_on_ray", lambda jobs, workers: (f"ray {workers}" for _ in jobs))
    # Not by how long this test's own clip takes on a busy machine.
    monkeypatch.setattr(clip_fan_out, "LOOK_SECONDS", 60.0)
    session: Any = SimpleNamespace(spreads=lambda: spreads)
    results: list[Any] = list(here_or_on_ray(session, 5, worth, threads=1)(tasks_of(films)))
    made_here = [isinstance(result, Result) for result in results]
    # Whether the thread has begun the third when the first two are judged is a matter of luck; nobody loses it.
    assert len(results) == 6
    assert sum(made_here) in ([6] if here else [2, 3])
    assert {result for result in results if isinstance(result, str)} == (set() if here else {"ray 5"})


def test_ray_does_not_wait_for_a_subject_that_takes_long(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = threading.Event()

    def slow(job: SubjectJob, stop: Any) -> Result:
        assert given.wait(20), "the rest is given to Ray while the first subject is made"
        return make(job, stop)

    def on_ray(jobs: list[SubjectJob], workers: int | None) -> Iterator[str]:
        given.set()
        return (f"ray {job.subject}" for job in jobs)

    monkeypatch.setattr(clip_threads, "make", slow)
    monkeypatch.setattr(clip_fan_out, "make_on_ray", on_ray)
    monkeypatch.setattr(clip_fan_out, "LOOK_SECONDS", 0.05)
    session: Any = SimpleNamespace(spreads=lambda: True)
    results: list[Any] = list(here_or_on_ray(session, worth_ray=1.0, threads=1)(tasks_of(films)))
    assert sorted(type(result).__name__ for result in results) == ["Result"] + 5 * ["str"]


def test_threads_make_the_same_bytes(films: Path, tmp_path: Path) -> None:
    nobody: Any = SimpleNamespace(spreads=lambda: False)
    prepare_films(films, tmp_path / "one")
    prepare_films(films, tmp_path / "three", here_or_on_ray(nobody, threads=3))
    assert files(tmp_path / "one") == files(tmp_path / "three")


def test_threads_leave_the_number_of_threads_of_opencv_as_it_was(films: Path) -> None:
    import cv2

    before = cv2.getNumThreads()
    with ClipThreads(tasks_of(films), 2) as pool:
        assert [cv2.getNumThreads() for _ in pool.results()] == [1] * 6
    assert cv2.getNumThreads() == before


def test_an_error_in_a_thread_is_an_error_of_the_run(films: Path, notes: Path) -> None:
    with pytest.raises(DataError, match=r"Feature wide of films/s\d/.. is float32 \(8, 8\)"):
        list(here_or_on_ray(SimpleNamespace(), threads=2)(tasks_of(films, "wide")))  # type: ignore[arg-type]


@pytest.mark.slow
def test_threads_stop_between_clips(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C waits for the clips at hand, neither for their subjects nor for those that nobody began."""
    from recordings import read_recordings

    everything = dataclasses.replace(tasks_of(films)[0], clips=tuple(read_recordings(films).clips.values()))
    begun, clips, errors = threading.Event(), [], []

    def slow(job: SubjectJob, stop: threading.Event) -> Result:
        def compute(clip: Any, *_: Any) -> Any:
            clips.append(clip.sample_id)
            begun.set()
            stop.wait(10)
            raise ClipError("slow")

        features = tuple((SimpleNamespace(name="slow", compute=compute), source) for _, source in job.features)
        try:
            return make(dataclasses.replace(job, features=features), stop)  # type: ignore[arg-type]
        except Stopped as error:
            errors.append(error)
            raise

    monkeypatch.setattr(SubjectJob, "portable", property(lambda job: True))
    monkeypatch.setattr(clip_threads, "make", slow)
    pool = ClipThreads([everything, everything], 1)
    with pool:
        assert begun.wait(10)
    assert len(clips) == 1
    assert len(errors) == 1
    assert not pool.waiting
