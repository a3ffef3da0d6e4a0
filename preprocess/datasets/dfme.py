"""DFME: micro-expressions at 200 to 500 frames per second, a training and two test sets (Zhao et al., 2023)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._spec import Count, Database, Record, Sheet, Tree
from preprocess.labels.emotions import Annotation

FRAMES = r"(?P<n>\d+)\.(?:png|jpg)"
COLUMNS = ("subject", "clip", "onset", "apex", "offset")
MORE = ("emotion", "action_units", "fps")
SHEETS = "sheets of the DFME challenge"


def test_set(record: Record) -> Record:
    """Name the split: the labels of both test sets are the organisers' secret."""
    return {**record, "split": "test"}


def tree(variant: str, folder: str) -> Tree:
    """Return the layout of one part of the database: the folders of clips in ``folder``."""
    return Tree(variant, (folder, r"(?P<clip>[^.]+)"), FRAMES)


register(
    Database(
        name="dfme",
        title="DFME (frames of the training set, and of the test sets A and B where they lie there)",
        layout="DFME_train/sub0003_01/00109.png, test_data_A/..., training_full_with_AU.xlsx beside them",
        trees=(
            tree("raw", "DFME_train"),
            *(
                Tree("raw", (f"test_data_{letter}", *inner, r"(?P<clip>[^.]+)"), FRAMES)
                for letter in "AB"
                for inner in ((f"test_data_{letter}",), ())
            ),
            tree("cropped", "DFME_train_crop(?:ped)?"),
        ),
        sheets=(
            Sheet(
                "train",
                r"train(ing)?_full(_with_au)?",
                (*COLUMNS, "emotion"),
                MORE,
                part="train",
                name="training_full_with_AU.xlsx",
            ),
            *(
                Sheet(
                    f"test{letter}",
                    rf"test{letter}_full(_with_au)?",
                    COLUMNS,
                    MORE,
                    part=f"test {letter}",
                    edit=test_set,
                    name=f"test{letter}_full_with_AU.xlsx",
                )
                for letter in "AB"
            ),
        ),
        subject="sub{subject:0>4}",
        counts=(
            Count(1856, 176, f"{SHEETS}: training"),
            Count(474, 42, f"{SHEETS}: test A"),
            Count(299, 41, f"{SHEETS}: test B"),
            Count(2330, 218, f"{SHEETS}: training and test A"),
            Count(2155, 217, f"{SHEETS}: training and test B"),
            Count(2629, 259, f"{SHEETS}: all"),
        ),
        annotations={
            "dfme": Annotation(
                ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "contempt"), ("emotion7",)
            )
        },
    ),
    __name__,
)
