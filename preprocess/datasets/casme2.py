"""CASME II: 255 micro-expressions of 26 people at 200 frames per second (Yan et al., PLoS ONE 9(1), 2014)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._people import CAS_PSYCHOLOGY
from preprocess.datasets._spec import CROPPED, UNCROPPED, Count, Database, Repair, Sheet, Tree
from preprocess.labels.emotions import Annotation

FOLDERS = (r"sub(?P<subject>\d{1,2})", r"EP\d+_\d+f?")
COLUMNS = ("subject", "clip", "onset", "apex", "offset", "action_units", "emotion")
# The sheet of 2014 circulates under these names.
OF_2014 = ("2014", "label_Ver_2", "undated")
PUBLISHED = "http://fu.psych.ac.cn/CASME/casme2-en.php"


def sheet(version: str, files: str, name: str) -> Sheet:
    """Return the declaration of a version of the sheet; some hold objective classes, too."""
    return Sheet(version, files, COLUMNS, ("objective_class",), name=name)


register(
    Database(
        name="casme2",
        title="CASME II (raw or cropped frames)",
        layout="CASME2_RAW_selected/sub01/EP02_01f/img46.jpg (Cropped: reg_img46.jpg), CASME2-coding-*.xlsx beside it",
        trees=(
            Tree("raw", FOLDERS, r"img(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)", root=UNCROPPED),
            Tree("cropped", FOLDERS, r"(?:reg_)?img(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)", root=CROPPED),
            Tree("cropped", FOLDERS, r"reg_img(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)", root=UNCROPPED),
        ),
        sheets=(
            sheet("2019", r"casme(2|ii)[-_ ]coding[-_ ]?2019.*", "CASME2-coding-20190701.xlsx"),
            sheet("2014", r"casme(2|ii)[-_ ]coding[-_ ]?2014.*", "CASME2-coding-20140508.xlsx"),
            sheet("label_Ver_2", r"casme2[-_ ]label[-_ ]ver[-_ ]?2.*", "CASME2_label_Ver_2.xls"),
            sheet("updated", r"casme2[-_ ]coding[-_ ]updated.*", "CASME2-coding-updated.xlsx"),
            sheet("undated", r"casme(2|ii)[-_ ]?coding.*", ""),
        ),
        joined=(
            Sheet(
                "objective",
                r"casme(2|ii)[-_ ]?objective[-_ ]?class.*",
                ("subject", "clip", "objective_class"),
                name="CASME2-ObjectiveClasses.xlsx",
            ),
        ),
        registered=("cropped",),
        subject="sub{subject:0>2}",
        laboratory=CAS_PSYCHOLOGY,
        fps=200.0,
        repairs=(
            Repair(
                "", "offset", None, "91", "offset before the apex", "public code of Varanka et al. 2023", 60, "updated"
            ),
        ),
        counts=(
            Count(255, 26, f"sheet of 2014, {PUBLISHED}", "2014"),
            Count(254, 26, f"sheet of 2019, {PUBLISHED}", "2019"),
            Count(255, 26, "other copies of the sheet of 2019", "2019"),
            Count(256, 26, "sheet updated by Varanka et al. 2023", "updated"),
            Count(255, 26, f"sheet of 2014, {PUBLISHED}", "undated"),
            Count(254, 26, f"sheet of 2019, {PUBLISHED}", "undated"),
            Count(255, 26, f"sheet of 2014, {PUBLISHED}", "label_Ver_2"),
            Count(145, 24, "MEGC2019", task="megc3"),
            *(Count(246, 26, "Yan et al. 2014", version, task="emotion5") for version in OF_2014),
            *(Count(248, 26, "the sheet of 2019", version, task="emotion5") for version in ("2019", "undated")),
            *(Count(249, 26, "its copy of 255 rows", version, task="emotion5") for version in ("2019", "undated")),
            Count(185, 26, "MEGC2018", task="objective5"),
            Count(174, None, "the sheet of 2019 in its own column", "2019", task="objective5"),
        ),
        annotations={
            "casme2": Annotation(
                ("disgust", "fear", "happiness", "others", "repression", "sadness", "surprise"),
                (
                    "megc3",
                    "casme2_3class_147",
                    "casme2_3class_156",
                    "casme2_4class",
                    "emotion5",
                    "emotion7_casme2",
                    "binary",
                    "objective5",
                ),
            )
        },
    ),
    __name__,
)
