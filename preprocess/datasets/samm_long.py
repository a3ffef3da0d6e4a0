"""SAMM Long Videos: 147 recordings with micro- and macro-expressions at 200 frames per second (Yap et al., FG 2020)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._spec import Count, Database, Record, Sheet, Tree
from preprocess.labels.emotions import Annotation

COLUMNS = ("subject", "clip", "onset", "apex", "offset", "action_units", "type")
TYPES = {"micro": "samm_long", "macro": "samm_long_macro"}
WORDS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "contempt", "other", "others")
PAPER = "Yap et al., FG 2020"


def edit(record: Record) -> Record | None:
    """Say in which recording an expression is, and of which kind; where nobody coded the onset, it is the apex."""
    kind = TYPES.get(record["type"][:5].lower())
    if kind is None:
        return None
    recording = "_".join(record["clip"].split("_")[:2])
    changed = {"dataset": kind, "folder": recording}
    if record["onset"] == "0":
        changed |= {"onset": record["apex"], "repaired": "onset 0 -> apex (its begin was not coded)"}
    return {**record, **changed}


register(
    Database(
        name="samm_long",
        title="SAMM Long Videos (micro- and macro-expressions in long recordings; emotions by SAMM's own sheet)",
        layout="SAMM_longvideos/006_1/006_1_0001.jpg, SAMM_LongVideos_V2_Release.xlsx beside it; beside that, for the "
        "emotions, SAMM_Micro_FACS_Codes_v2.xlsx",
        trees=(Tree("raw", (r"(?P<subject>\d{3})_\d+",), r"\d{3}_\d+_(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)", long=True),),
        sheets=tuple(
            Sheet(
                version,
                rf"samm[-_ ]?long[-_ ]?videos[-_ ]{version}.*",
                COLUMNS,
                edit=edit,
                name=f"SAMM_LongVideos_{version.upper()}_Release.xlsx",
            )
            for version in ("v3", "v2", "v1")
        ),
        joined=(
            Sheet(
                "emotions",
                r"samm.*facs[-_ ]codes.*",
                ("subject", "clip", "emotion"),
                ("objective_class",),
                name="SAMM_Micro_FACS_Codes_v2.xlsx",
            ),
        ),
        subject="{subject:0>3}",
        fps=200.0,
        people="samm",
        macro=("samm_long_macro",),
        counts=(Count(159, None, PAPER), Count(343, None, PAPER, dataset="samm_long_macro")),
        annotations={
            "samm_long": Annotation(WORDS, ("emotion5_samm", "emotion7", "binary")),
            "samm_long_macro": Annotation(WORDS),
        },
    ),
    __name__,
)
