"""SMIC-E: the long recordings around SMIC's micro-expressions, by three cameras (Li et al., IEEE TAFFC 9(4), 2018)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._smic import CLIP, EMOTIONS, SUBJECT, VALENCE
from preprocess.datasets._spec import Database, Record, Sheet, Tree

FRAMES = r"(?:reg_)?image(?P<n>\d+)\.(?:bmp|jpg|png)"
COLUMNS = ("subject", "clip", "onset", "offset")
MORE = ("onset2", "offset2", "onset3", "offset3")
HEADINGS = {name: (f"{name[:-1]}{name[-1]}F",) for name in MORE}


def edit(record: Record) -> list[Record]:
    """Return one record for each of the up to three expressions of a recording; its name tells what they show."""
    words = record["clip"].split("_")
    emotion = EMOTIONS.get(words[1], "") if len(words) > 1 else ""
    plain = {name: value for name, value in record.items() if name not in MORE}
    pairs = [(record.get(f"onset{which}", ""), record.get(f"offset{which}", "")) for which in ("", "2", "3")]
    told = [pairs[0], *(pair for pair in pairs[1:] if pair[0] not in ("", "0", "/"))]
    return [{**plain, "onset": onset, "offset": offset, "emotion": emotion} for onset, offset in told]


for name, camera, fps in (("smic_long", "HS", 100.0), ("smic_vis_long", "VIS", 25.0), ("smic_nir_long", "NIR", 25.0)):
    register(
        Database(
            name=name,
            title=f"SMIC-E, long recordings by the {camera} camera",
            layout=f"SMIC-{camera}-E/{camera}/s01/s1_ne_01/image000123.bmp, SMIC-{camera}-E_annotation.xlsx beside it",
            trees=tuple(
                Tree("raw", (*above, SUBJECT, CLIP), FRAMES, root=f"SMIC[-_ ]{camera}[-_ ]E", long=True)
                for above in ((camera,), ())
            ),
            sheets=(
                Sheet(
                    "E",
                    rf"smic[-_ ]{camera}[-_ ]e[-_ ]annotation.*",
                    *(COLUMNS, MORE, HEADINGS),
                    edit=edit,
                    name=f"SMIC-{camera}-E_annotation.xlsx",
                ),
            ),
            subject="s{subject:0>2}",
            clip="s{subject:0>2}_{kind}_{take:0>2}",
            fps=fps,
            people="smic",
            several=True,
            annotations={name: VALENCE},
        ),
        __name__,
    )
