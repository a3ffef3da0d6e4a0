"""Datasets: what an adapter is, and which adapter reads a given folder. An adapter is one file of this package."""

from preprocess.datasets._adapter import DATASETS, Adapter, Found, RawDataset, RawFeature, describe
from preprocess.datasets._detect import detect, read_source

__all__ = ["DATASETS", "Adapter", "Found", "RawDataset", "RawFeature", "describe", "detect", "read_source"]
