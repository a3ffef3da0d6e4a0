"""Apexes that nobody annotated, although a number stands there: that of the onset, where nothing has moved yet."""

from __future__ import annotations

from dataclasses import replace

from preprocess.datasets._adapter import RawDataset

REASON = "apex {} -> none (it is the onset, where nothing has moved yet: taken as not annotated, so it is spotted)"


def without_idle_apexes(dataset: RawDataset) -> RawDataset:
    """Take the apex away from samples whose apex is their onset, and say so in ``repaired``.

    Flow from onset to apex would be nothing at all. An apex that is the offset stays: some databases end their clips at
    the height of the expression. A clip whose offset is the onset, too, has one frame, in which no apex can be spotted.

    Parameters
    ----------
    dataset : as its adapter read it.
    """
    import pandas as pd

    table = dataset.samples
    one_frame = (table["offset"] == table["onset"]).fillna(False)
    idle = (table["apex"] == table["onset"]).fillna(False) & ~one_frame
    if not idle.any():
        return dataset
    samples = table.copy()
    reasons = [REASON.format(apex) for apex in table.loc[idle, "apex"]]
    before = table.loc[idle, "repaired"].fillna("").tolist()
    mended = ["; ".join(filter(None, both)) for both in zip(before, reasons, strict=True)]
    samples.loc[idle, "repaired"] = pd.array(mended, "string")
    samples.loc[idle, "apex"] = pd.NA
    of_them = set(table.loc[idle, "sample_id"])
    clips = {name: replace(clip, apex=None) if name in of_them else clip for name, clip in dataset.clips.items()}
    return replace(dataset, samples=samples, clips=clips)
