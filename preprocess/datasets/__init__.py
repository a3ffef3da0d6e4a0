"""Datasets: what an adapter is, and which adapter reads a given folder. An adapter is one file of this package."""

from preprocess.datasets._adapter import (
    DATASETS,
    Adapter,
    Found,
    LongRecording,
    RawDataset,
    RawFeature,
    copies_in,
    describe,
)
from preprocess.datasets._build import register
from preprocess.datasets._detect import detect, read_source
from preprocess.datasets._given import Given
from preprocess.datasets._people import met_before
from preprocess.datasets._spec import Count, Database, Record, Repair, Sheet, Tree, Workbook
from preprocess.labels.emotions import Annotation

__all__ = [
    "DATASETS",
    "Adapter",
    "Annotation",
    "Count",
    "Database",
    "Found",
    "Given",
    "LongRecording",
    "RawDataset",
    "RawFeature",
    "Record",
    "Repair",
    "Sheet",
    "Tree",
    "Workbook",
    "copies_in",
    "describe",
    "detect",
    "met_before",
    "read_source",
    "register",
]
