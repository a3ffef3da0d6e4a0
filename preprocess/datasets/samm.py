"""SAMM: 159 micro-expressions of 29 people at 200 frames per second (Davison et al., IEEE TAFFC 9(1), 2018)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._spec import ANYTHING, CROPPED, UNCROPPED, Count, Database, Repair, Sheet, Tree
from preprocess.labels.emotions import Annotation

FOLDERS = (r"(?P<subject>\d{3})", r"\d{3}_\d+_\d+")
FRAMES = r"(?:\d{3}_)(?:[\d_]*_)?(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)"
COLUMNS = ("subject", "clip", "onset", "apex", "offset", "action_units", "emotion", "objective_class")
OLDER = COLUMNS[:-1], ("objective_class",)
PUBLIC_CODE = "public code of Varanka et al., Data Leakage and Evaluation Issues in Micro-Expression Analysis, 2023"

register(
    Database(
        name="samm",
        title="SAMM micro-expressions (raw or cropped frames)",
        layout="SAMM/006/006_1_2/006_05562.jpg, SAMM_Micro_FACS_Codes_v2.xlsx in it or beside it",
        trees=(Tree("raw", FOLDERS, FRAMES, root=UNCROPPED), Tree("cropped", FOLDERS, FRAMES, root=CROPPED)),
        sheets=(
            Sheet("v2", r"samm.*facs[-_ ]codes[-_ ]v2.*", COLUMNS, name="SAMM_Micro_FACS_Codes_v2.xlsx"),
            Sheet("v1", r"samm.*facs[-_ ]codes(?![-_ ]v2).*", *OLDER, name="SAMM_Micro_FACS_Codes.xlsx"),
            Sheet("samm_data", r"samm[-_ ]data", *OLDER, name="samm_data.csv"),
        ),
        subject="{subject:0>3}",
        fps=200.0,
        repairs=(
            Repair("028/028_4_1", "apex", "1143", "1113", "apex after the offset 1134, a digit mistyped", PUBLIC_CODE),
            Repair("032/032_3_1", "apex", "1930", "4930", "apex before the onset 4896, a digit mistyped", PUBLIC_CODE),
            Repair("032/032_3_2", "apex", "5127", "5130", "apex one frame after the onset", PUBLIC_CODE),
            Repair("013/013_1_9", "offset", ANYTHING, "5739", "the sheet's own duration is 82 frames", PUBLIC_CODE),
        ),
        counts=(
            Count(159, 29, "Davison et al. 2018 and its sheet v2"),
            Count(133, 28, "MEGC2019", task="megc3"),
            Count(136, 27, "the sheet v2", task="emotion5_samm"),
            Count(68, 21, "MEGC2018", task="objective5"),
        ),
        annotations={
            "samm": Annotation(
                ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "contempt", "other", "others"),
                ("megc3", "emotion5_samm", "emotion7", "binary", "objective5"),
            )
        },
    ),
    __name__,
)
