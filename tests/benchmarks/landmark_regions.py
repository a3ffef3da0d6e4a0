"""How far landmarks lie from the true ones, region by region, and how they follow a face that shifts.

    python tests/benchmarks/landmark_regions.py [--subjects 2]

The portrait and rendered people of each database, whole and cropped at several tightnesses and offsets. What lies
outside of the picture is filled as ``Detectors.fit`` does (the box's median), black, or with the repeated edge; plain
dlib fits once, in the same box. Then aligned crops of 112, 128 and 224 pixels are shifted by 1 to 4 pixels in eight
directions: points should go along. Errors in distances between the eyes, target of shifts at most 0.2 pixels.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
from collections.abc import Iterator
from unittest import mock

import cv2
import dlib
import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly

from preprocess.faces import detectors
from preprocess.faces.alignment import face_transform, landmark_box, landmark_turn, transform_points, warp
from preprocess.faces.detectors import Box, Detectors
from preprocess.faces.fit import eye_distance
from preprocess.faces.landmark_sets import FACE_REGIONS
from preprocess.synth import portrait
from preprocess.synth.databases import LIKE, Options, film, plan

Sight = tuple[np.ndarray, np.ndarray]
FILLS = {"median of the box": None, "black": lambda picture, box: 0.0, "repeated edge": lambda picture, box: None}


def sights(subjects: int) -> Iterator[Sight]:
    """Yield grey pictures and the true landmarks in them: the portrait, and one clip of each person."""
    from skimage.data import astronaut

    head = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY)[:300, 80:380]
    large = cv2.resize(head, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    yield large, (portrait.landmarks() - [80, 0] + 0.5) * 3 - 0.5
    for like in LIKE:
        options = Options(like, subjects, 1.0)
        for clip in plan(options):
            made = film(options, clip)
            frame = made.frame(0)
            yield cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else frame, np.asarray(made.landmarks)


def crops(picture: np.ndarray, true: np.ndarray) -> Iterator[Sight]:
    """Yield crops, 280 pixels wide, of 84 to 100 % of the face's width, and the landmarks in them."""
    width, middle = true[16, 0] - true[0, 0], (true[16, 0] + true[0, 0]) / 2
    height = (true[17:27, 1].min() + true[8, 1]) / 2 - 0.08 * width
    for share, shape, right, down in itertools.product(
        (1.0, 0.92, 0.84), (340 / 280, 1.0), (-0.1, 0, 0.1), (-0.1, 0, 0.1)
    ):
        across, along = share * width, share * width * shape
        left, top = round(middle + (right - 0.5) * across), round(height + (down - 0.5) * along)
        end, low = round(left + across), round(top + along)
        if left < 0 or top < 0 or end > picture.shape[1] or low > picture.shape[0]:
            continue
        size = 280, round(280 * (low - top) / (end - left))
        scale = np.array(size) / [end - left, low - top]
        way = cv2.INTER_CUBIC if scale[0] > 1 else cv2.INTER_AREA
        yield cv2.resize(picture[top:low, left:end], size, interpolation=way), (true - [left, top] + 0.5) * scale - 0.5


def plain(find: Detectors, picture: np.ndarray, box: Box) -> np.ndarray:
    """Return what dlib fits in a box of the picture itself."""
    return np.array([(part.x, part.y) for part in find._predictor(picture, dlib.rectangle(*box)).parts()], np.float64)


def region_rows(pictures: list[Sight], find: Detectors) -> list[list[str]]:
    """Return a row for each way to fit: mean, and share of pictures above a tenth, of each region's error."""
    ways = {name: functools.partial(_filled, find, fill) for name, fill in FILLS.items()}
    rows = []
    for name, fit in {**ways, "plain dlib": functools.partial(plain, find)}.items():
        errors: dict[str, list[float]] = {region: [] for region in FACE_REGIONS}
        for picture, true in pictures:
            boxes = find.hog(picture, 640) or find.hog_padded(picture, 640)
            if not boxes:
                continue
            away = (fit(picture, boxes[0]) - true) / eye_distance(true)
            for region, points in FACE_REGIONS.items():
                errors[region].append(float(np.linalg.norm(away[list(points)].mean(axis=0))))
        told = [f"{np.mean(one):.3f}, {np.mean(np.array(one) > 0.1):.1%}, {max(one):.2f}" for one in errors.values()]
        rows.append([name, str(len(errors["jaw"])), *told])
    return rows


def _filled(find: Detectors, fill: object, picture: np.ndarray, box: Box) -> np.ndarray:
    with mock.patch.object(detectors, "_grey_level", fill or detectors._grey_level):
        return find.fit(picture, box).landmarks


def shift_row(size: int, whole: list[Sight], find: Detectors) -> list[str]:
    """Return how far points are from where a shifted face has taken them, in pixels."""
    errors: dict[int, list[float]] = {}
    for picture, true in whole:
        transform = face_transform(true, (size, size))
        points = transform_points(true, transform)
        box, turn = landmark_box(points), landmark_turn(points)
        still = find.fit(warp(picture, transform, (size, size)), box, turn, fine=True).landmarks
        for pixels, direction in itertools.product((1, 2, 3, 4), range(8)):
            angle = direction * math.pi / 4
            shift = pixels * np.rint([1.2 * math.cos(angle), 1.2 * math.sin(angle)])
            moved = transform + np.column_stack([np.zeros((2, 2)), shift])
            there = find.fit(warp(picture, moved, (size, size)), box, turn, fine=True).landmarks
            errors.setdefault(pixels, []).append(float(np.linalg.norm(there - still - shift, axis=1).mean()))
    return [str(size), *(f"{np.mean(one):.3f}, {max(one):.3f}" for one in errors.values())]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=2, help="people of each database (default 2)")
    arguments = parser.parse_args()
    facts, find = machine_facts(), Detectors()
    whole = list(sights(arguments.subjects))
    cut = [crop for sight in whole for crop in crops(*sight)]
    names = ["filled with", "pictures", *(f"{region}: mean, > 0.1, max" for region in FACE_REGIONS)]
    print_table("Whole frames", names, region_rows(whole, find))
    print_table("Crops", names, region_rows(cut, find))
    names = ["size", *(f"by {pixels} px: mean, max" for pixels in (1, 2, 3, 4))]
    print_table("Shifted faces, error in pixels", names, [shift_row(size, whole, find) for size in (112, 128, 224)])
    print(*facts, sep="\n")


if __name__ == "__main__":
    run_plainly(main)
