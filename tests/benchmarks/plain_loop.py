"""The loop that a researcher writes: one fold after the other, DataLoader, Adam, an evaluation every epoch.

    python tests/benchmarks/plain_loop.py --data TREE [--model ststnet] [--epochs 30] [--folds N]

It reads the same flow-image tree as the harness, holds out every subject of the composite in turn, and trains the
registry's own network by the model's own recipe with torch as it comes: default threads, no tuning. It prints one line
of JSON: seconds of reading, seconds of each fold, and the share of correct predictions after the last epoch.
``against_plain_loop.py`` runs it beside ``merbench run``. Of the harness it uses the network and its recipe only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from benchmark_report import run_plainly
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS, ModelInfo

N_CLASSES = 3


def read_tree(root: Path) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Return images (n, 3, 28, 28) float32 0..255, labels (n,) and subjects (n,) of a flow-image tree."""
    images, labels, subjects = [], [], []
    for path in sorted(root.glob("**/u_test/*/*.png")):
        image = cv2.imread(str(path))
        if image is None:
            raise SystemExit(f"{path} is not a readable PNG.")
        images.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).transpose(2, 0, 1).astype(np.float32))
        labels.append(int(path.parent.name))
        subjects.append(path.parents[2].name)
    if not images:
        raise SystemExit(f"{root} holds no <subject>/u_test/<label>/*.png.")
    return torch.from_numpy(np.stack(images)), torch.tensor(labels), np.array(subjects)


def train_fold(
    info: ModelInfo, recipe: TrainingRecipe, images: torch.Tensor, labels: torch.Tensor, test: torch.Tensor
) -> int:
    """Train on everybody but ``test`` and return how many test predictions are right after the last epoch."""
    train_set = TensorDataset(images[~test], labels[~test])
    test_set = TensorDataset(images[test], labels[test])
    train_loader = DataLoader(train_set, batch_size=recipe.batch_size, shuffle=recipe.shuffle)
    test_loader = DataLoader(test_set, batch_size=recipe.batch_size)
    model = info.build(n_classes=N_CLASSES)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
    loss_function = nn.CrossEntropyLoss()
    correct = 0
    for _ in range(recipe.epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for x, y in test_loader:
                correct += int((model(x).argmax(1) == y).sum())
    return correct


def main() -> None:
    """Train and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="flow-image tree")
    parser.add_argument("--model", default="ststnet", help="a network of one feature, trained with Adam")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--folds", type=int, help="so many subjects, spread evenly over all; default: all")
    arguments = parser.parse_args()
    info = MODELS.get(arguments.model)
    if info.recipe is None or info.recipe.optimizer != "adam" or info.recipe.input_range != "raw":
        parser.error(f"--model {arguments.model}: this loop trains networks with Adam on raw input only")
    recipe = dataclasses.replace(info.recipe, epochs=arguments.epochs)
    start = time.perf_counter()
    images, labels, subjects = read_tree(arguments.data)
    reading = time.perf_counter() - start
    people = np.unique(subjects)
    number = min(arguments.folds or len(people), len(people))
    # Spread over all subjects: the databases differ in clips a subject.
    chosen = people[np.linspace(0, len(people) - 1, number).round().astype(int)]
    seconds, correct, tested = [], 0, 0
    for person in chosen:
        start = time.perf_counter()
        test = torch.from_numpy(subjects == person)
        correct += train_fold(info, recipe, images, labels, test)
        tested += int(test.sum())
        seconds.append(time.perf_counter() - start)
    figures = {
        "reading": reading,
        "folds": seconds,
        "subjects": len(people),
        "samples": len(labels),
        "accuracy": correct / tested,
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    run_plainly(main)
