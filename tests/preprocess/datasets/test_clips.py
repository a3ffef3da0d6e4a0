"""Somebody's own recordings: what a list of clips may look like, what it becomes, and every mistake in it."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import pytest
from more_trees import CLIPS_CSV, clips, images, video

from preprocess.base.errors import DataError
from preprocess.datasets import RawDataset, detect, read_source
from preprocess.labels.tasks import TASKS, labels
from preprocess.samples.clip import ClipError
from preprocess.samples.frames import VIDEO_ENDINGS, FrameReader
from preprocess.synth.databases import Options
from preprocess.synth.trees import render


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def read(root: Path) -> RawDataset:
    """Return the one dataset that lies there."""
    (dataset,) = read_source(root)
    return dataset


def fault(root: Path, text: str) -> str:
    """Return what is said of a list that cannot be used."""
    clips(root, text)
    with pytest.raises(DataError) as caught:
        read_source(root)
    assert f"{root / 'clips.csv'} cannot be used" in str(caught.value)
    return str(caught.value)


def listed(*rows: str) -> str:
    """Return a list of videos, people and numbers."""
    return "\n".join(["path,subject,onset,apex,offset,fps,dataset", *rows])


def test_a_list_makes_a_dataset(root: Path) -> None:
    dataset = read(clips(root))
    assert (dataset.name, dataset.synthetic, dataset.notes) == ("mine", False, ())
    columns = ["sample_id", "subject", "onset", "apex", "offset", "fps", "emotion", "action_units", "split"]
    assert dataset.samples[columns].astype(object).where(dataset.samples[columns].notna(), None).values.tolist() == [
        ["mine/anna/frown", "mine/anna", None, None, None, 25.0, "anger", "4", "train"],
        ["mine/anna/smile", "mine/anna", 1, 3, 4, 25.0, "happiness", "6+12", "train"],
        ["mine/ben/frames one", "mine/ben", 2, 3, 5, 100.0, "surprise", None, "test"],
    ]
    with FrameReader(dataset.clips["mine/anna/smile"]) as reader:
        assert reader.numbers == [1, 2, 3, 4]
    assert dataset.clips["mine/ben/frames one"].numbers == [2, 3, 4, 5]
    with FrameReader(dataset.clips["mine/anna/frown"]) as reader:
        assert reader.numbers == list(range(7))


@pytest.mark.slow
@pytest.mark.parametrize("change", [str, str.upper, str.title])
@pytest.mark.parametrize("ending", VIDEO_ENDINGS)
def test_videos_of_every_kind_are_decoded(ending: str, change: type[str], root: Path) -> None:
    written = video(root / f"clip.{ending}", frames=6)
    written.rename(root / f"clip.{change(ending)}")
    (root / "clips.csv").write_text(f"path,subject\nclip.{change(ending)},anna\n")
    clip = read(root).clips["data/anna/clip"]
    with FrameReader(clip) as reader:
        assert reader.numbers == list(range(6))
        assert abs(float(reader.read(4).mean()) - 80) < 4


def test_the_list_may_lie_beside_its_files_and_name_the_dataset_by_its_folder(root: Path) -> None:
    video(root / "My clips (größer)" / "a.mp4")
    (root / "My clips (größer)" / "Clips.CSV").write_text("path,subject\na.mp4,1\n")
    dataset = read(root)
    assert dataset.name == "My_clips_groer"
    assert "the dataset of folder 'My clips (größer)' is called My_clips_groer" in dataset.notes[0]


@pytest.mark.parametrize("separator", [";", "\t", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_encodings_of_spreadsheet_programs(separator: str, encoding: str, root: Path) -> None:
    clips(root)
    text = CLIPS_CSV.replace(",", separator).replace("\n", "\r\n")
    text += "größe.mp4 ben".replace(" ", separator) + separator * 8 + "mine\r\n"
    video(root / "größe.mp4")
    (root / "clips.csv").write_bytes(text.encode(encoding))
    assert "mine/ben/größe" in read(root).samples["sample_id"].tolist()
    assert len(read(root).samples) == 4


def test_names_whose_accents_are_written_in_another_way_are_the_same(root: Path) -> None:
    video(root / unicodedata.normalize("NFD", "größe.mp4"))
    (root / "clips.csv").write_text(unicodedata.normalize("NFC", "path,subject\ngröße.mp4,anna\n"), encoding="utf-8")
    assert len(read(root).samples) == 1


def test_a_line_that_names_the_separator_and_a_decimal_comma(root: Path) -> None:
    clips(root)
    (root / "clips.csv").write_text("sep=;\npath;subject;fps\nanna/smile.mp4;anna;29,97\n")
    assert read(root).samples["fps"].tolist() == [29.97]


def test_paths_of_windows_absolute_ones_and_other_letters_are_understood(root: Path) -> None:
    rows = ["anna\\smile.mp4,anna", f"{root}/anna/frown.mov,anna", "./BEN/Frames One/,ben"]
    dataset = read(clips(root, "path,subject\n" + "\n".join(rows)))
    assert dataset.samples["sample_id"].tolist() == ["data/anna/frown", "data/anna/smile", "data/ben/Frames One"]


def test_frames_and_videos_may_have_columns_of_their_own(root: Path) -> None:
    images(root / "p1" / "first" / "pictures", range(3), "{}.png")
    video(root / "p2.mkv")
    (root / "clips.csv").write_text(
        "Path,Frames,Video,Participant,Onset Frame\np1/first,pictures,,1,1\n,p1/first/pictures,,1,2\n,,p2.mkv,2,\n"
    )
    dataset = read(root)
    assert dataset.samples["sample_id"].tolist() == [
        "data/1/p1_first_pictures@1",
        "data/1/p1_first_pictures@2",
        "data/2/p2",
    ]


def test_frames_may_lie_beside_the_list(root: Path) -> None:
    images(root / "first take", range(5, 9), "IMG_{:04d}.JPG")
    (root / "first take" / "clips.csv").write_text("path,subject\n.,anna\n")
    clip = read(root).clips["first_take/anna/first take"]
    assert clip.numbers == [5, 6, 7, 8]


def test_an_onset_beyond_the_end_of_a_video_is_told_when_it_is_decoded(root: Path) -> None:
    clip = read(clips(root, listed("anna/smile.mp4,anna,50"))).clips["data/anna/smile"]
    with (
        FrameReader(clip) as reader,
        pytest.raises(ClipError, match=r"onset is frame 50, but .* the frames 0 to 4 only"),
    ):
        assert reader.numbers


def test_a_list_that_is_not_saved_as_utf_8(root: Path) -> None:
    clips(root)
    (root / "clips.csv").write_bytes("path,subject\nZoë.mp4,zoe\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"Is the list saved as UTF-8\?"):
        read_source(root)


def test_a_list_given_in_place_of_its_folder(root: Path) -> None:
    clips(root)
    with pytest.raises(DataError, match=f"is a file; expected a folder that holds a dataset. It lies in {root}"):
        read_source(root / "clips.csv")


def test_several_lists_below_one_folder_are_several_datasets(root: Path) -> None:
    for name in ("first", "second"):
        video(root / name / "a.mp4")
        (root / name / "clips.csv").write_text("path,subject\na.mp4,1\n")
    assert sorted(dataset.name for dataset in read_source(root)) == ["first", "second"]


def test_a_file_of_that_name_with_other_columns_is_no_list(root: Path) -> None:
    root.mkdir()
    (root / "clips.csv").write_text("holiday,place\n2019,Rome\n")
    assert detect(root) == []


def test_tasks_are_those_that_have_the_words(root: Path) -> None:
    words = ("happiness", "disgust", "repression", "surprise", "others", "Sad")
    for number, _ in enumerate(words):
        video(root / f"{number}.mp4")
    rows = [f"{number}.mp4,{number % 2},{word}" for number, word in enumerate(words)]
    (root / "clips.csv").write_text("\n".join(["path,subject,emotion", *rows]))
    dataset = read(root)
    fitting = {name for name, task in TASKS.items() if task.column == "emotion" and task.mapping("data")}
    assert {"emotion3", "emotion5", "binary"} <= fitting
    assert not {"megc3", "emotion7", "emotion5_samm"} & fitting
    # Sorted by person and file: 0, 2, 4 and 1, 3, 5.
    assert labels(TASKS.get("emotion5"), dataset.samples).tolist() == [0, 2, 4, 1, 3, -1]
    assert labels(TASKS.get("emotion3"), dataset.samples).tolist() == [1, -1, -1, 0, 2, 0]


def test_the_words_are_those_of_the_list_that_was_read_last(root: Path) -> None:
    clips(root, CLIPS_CSV.replace("anger", "smirk"))
    assert "no task knows the emotions 'smirk' (1 clips)" in "\n".join(read(root).notes)
    clips(root, CLIPS_CSV.replace("anger", "surprize"))
    assert "Of 'surprize': Did you mean: surprise?" in "\n".join(read(root).notes)
    assert not TASKS.get("emotion3").mapping("mine")
    clips(root)
    assert read(root).notes == ()
    assert TASKS.get("emotion3").mapping("mine") == {
        "anger": "negative",
        "happiness": "positive",
        "surprise": "surprise",
    }


def test_files_that_are_skipped_by_their_ending_and_videos_without_a_row_are_noted(root: Path) -> None:
    clips(root, CLIPS_CSV + "ben/old.wmv,ben,,,,,anger,,,mine\n")
    (root / "ben" / "old.wmv").write_bytes(b"\x30\x26")
    (root / "anna" / "talk.flv").write_bytes(b"FLV")
    video(root / "anna" / "extra.MTS")
    notes = "\n".join(read(root).notes)
    assert "2 files are skipped by their ending; videos end in avi, mp4, mov" in notes
    assert "ben/old.wmv, anna/talk.flv" in notes
    assert "1 videos are in no row of clips.csv and are left out: anna/extra.MTS" in notes


def test_pictures_that_are_no_frames_are_noted_once_however_many_rows_name_their_folder(root: Path) -> None:
    folder = images(root / "a", range(4), "{}.png")
    shutil.copy(folder / "1.png", folder / "01.png")
    (folder / "3.png").rename(folder / "3.gif")
    (root / "clips.csv").write_text("path,subject,onset,offset\na,1,0,1\na,1,1,2\n")
    notes = read(root).notes
    assert notes == (
        f"1 frames have two files: {folder}: 1.png and 01.png are both frame 1; 1.png was taken",
        "1 clips have files that are skipped by their ending: a: 1 .gif",
    )


def test_one_person_written_in_two_ways_is_one_person(root: Path) -> None:
    dataset = read(clips(root, "path,subject\nanna/smile.mp4,Anna\nanna/frown.mov,anna \n"))
    assert set(dataset.samples["subject"]) == {"data/Anna"}
    assert "'Anna' and 'anna'" in dataset.notes[0]


def test_linked_folders_are_followed_and_told(root: Path) -> None:
    clips(root)
    shutil.move(root / "ben", root.parent / "elsewhere")
    (root / "ben").symlink_to(root.parent / "elsewhere")
    dataset = read(root)
    assert len(dataset.samples) == 3
    assert f"{root / 'ben'} is a link to {root.parent / 'elsewhere'}, and was followed" in dataset.notes


@pytest.mark.slow
def test_rendered_clips_are_called_synthetic(root: Path) -> None:
    render(Options("casme2", 2, 1.0), root / "rendered")
    folder = next(path for path in (root / "rendered").rglob("sub*/*") if path.is_dir())
    (root / "clips.csv").write_text(f"path,subject\n{folder.relative_to(root).as_posix()},1\n")
    dataset = read(root)
    assert (dataset.name, dataset.synthetic) == ("synth_data", True)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            "anna/smlie.mp4,anna",
            "row 2, column path: 'anna/smlie.mp4' is not there: ROOT/anna holds no 'smlie.mp4'. Did",
        ),
        ("ann/smile.mp4,anna", "row 2, column path: 'ann/smile.mp4' is not there: ROOT holds no 'ann'. Did you mean"),
        ("../x.mp4,anna", "row 2, column path: '../x.mp4' leads out of ROOT. Move clips.csv to a folder above"),
        ("anna/../../x.mp4,anna", "row 2, column path: 'anna/../../x.mp4' leads out of ROOT"),
        ("/etc/hosts,anna", "row 2, column path: '/etc/hosts' lies outside of ROOT"),
        ("C:\\clips\\a.mp4,anna", "row 2, column path: 'C:\\\\clips\\\\a.mp4' is a place on a Windows machine"),
        (",anna", "row 2, column path: is empty: every clip needs its video or its folder of frames"),
        ("anna/smile.mp4,", "row 2, column subject: is empty: every clip needs the person"),
        ("anna/smile.mp4,a/b", "row 2, column subject: 'a/b' may hold neither '/' nor"),
        ("anna/smile.mp4,anna,5,3,4", "row 2, column apex: onset 5, apex 3, offset 4 are not in this order"),
        ("anna/smile.mp4,anna,5,,4", "row 2, column onset: onset 5, offset 4 are not in this order"),
        ("anna/smile.mp4,anna,one", "row 2, column onset: onset is 'one', not a frame number"),
        ("anna/smile.mp4,anna,1,-2", "row 2, column apex: apex is '-2', not a frame number"),
        ("anna/smile.mp4,anna,,,,fast", "row 2, column fps: 'fast' is no number of frames per second"),
        ("anna/smile.mp4,anna,,,,0", "row 2, column fps: '0' is no number of frames per second"),
        (
            "ben/frames one,ben,50,,60",
            "row 2, column onset: no frame from 50 to 60 is in ROOT/ben/frames one: it has 1 to 8",
        ),
        ("ben,ben", "row 2, column path: ROOT/ben holds no frames: pictures"),
        ("ben/frames one/img001.jpg,ben", "row 2, column path: img001.jpg is a single picture. Give its folder"),
        ("anna/smile.mp4,anna,,,,,my set", "row 2, column dataset: 'my set' may hold letters, digits"),
        ("anna/smile.mp4,anna,,,,,,9", "row 2: '9' stands below no heading"),
    ],
)
def test_a_mistake_in_a_row(row: str, said: str, root: Path) -> None:
    assert said.replace("ROOT", str(root)) in fault(root, listed(row))


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        ("path,subject,emotoin", "row 1: unknown column 'emotoin'. Did you mean: emotion?"),
        ("path,emotion", "row 1: column subject is missing; the headings there are: path, emotion."),
        ("subject,emotion", "row 1: column path is missing; the headings there are: subject, emotion."),
        ("path,subject,Subject", "row 1: column subject stands there twice"),
    ],
)
def test_a_mistake_in_the_headings(heading: str, said: str, root: Path) -> None:
    assert said in fault(root, f"{heading}\nanna/smile.mp4,anna,anger\n")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("anna/smile.mp4,anna", "anna\\SMILE.mp4,anna"), "row 3: repeats row 2: anna/SMILE. Leave one of them out"),
        (("anna/smile.mp4,anna,2", "anna/smile.mp4,anna,2"), "row 3: repeats row 2: anna/smile from frame 2 on"),
        (("anna/smile.mp4,anna", "anna/smile.mp4,ben"), "row 3, column subject: anna/smile shows 'ben', but in row 2"),
    ],
)
def test_rows_that_contradict_each_other(rows: tuple[str, ...], said: str, root: Path) -> None:
    assert said in fault(root, listed(*rows))


def test_two_clips_of_one_name(root: Path) -> None:
    video(root / "anna" / "smile.avi")
    clips(root, listed("anna/smile.mp4,anna", "anna/smile.avi,anna"))
    with pytest.raises(
        DataError, match=r"clips.csv, row 3: its clip would be called data/anna/smile, as that of row 2"
    ):
        read_source(root)


def test_the_name_of_a_published_database_is_not_taken(root: Path) -> None:
    clips(root, listed("anna/smile.mp4,anna,,,,,casme2"))
    with pytest.raises(DataError, match=r"row 2, column dataset: 'casme2' is a published database"):
        read_source(root)
    clips(root.parent / "casme2", listed("anna/smile.mp4,anna"))
    assert read(root.parent / "casme2").name == "casme2_clips"


def test_all_mistakes_are_told_at_once(root: Path) -> None:
    said = fault(root, listed("nothing.mp4,anna", "anna/smile.mp4,", "anna/frown.mov,anna,9,,3"))
    assert [line.split(":")[0] for line in said.splitlines()[1:]] == [
        "  row 2, column path",
        "  row 3, column subject",
        "  row 4, column onset",
    ]


def test_an_apex_that_is_the_onset_is_spotted_in_ones_own_clips_too(root: Path) -> None:
    images(root / "ben" / "a", range(1, 10), "{}.png")
    dataset = read(clips(root, "path,subject,onset,apex,offset\nben/a,ben,2,2,8\n"))
    assert dataset.samples["apex"].isna().all()
    assert [clip.apex for clip in dataset.clips.values()] == [None]
    assert dataset.samples["repaired"][0].startswith("apex 2 -> none (it is the onset")
