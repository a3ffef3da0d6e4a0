"""The code of a plug-in counts in the keys wherever it can change a number, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import plan_of

from preprocess.base.plugins import load_plugins, unload_plugins
from preprocess.datasets import DATASETS, read_source
from preprocess.recipes import FeatureRecipe
from preprocess.shards.features import feature_of
from preprocess.shards.prepare import prepare
from preprocess.shards.prepared import PreparedDataset
from results.store.study_card import StudyCard

PLUG_INS = {
    "model": """
import torch
from torch import nn
from mer_models.contracts import TrainingRecipe
from mer_models.registry import register_model

recipe = TrainingRecipe(epochs=1, batch_size=8, lr=1e-3)

@register_model("mine", features=("flow_uvs_28",), paper="None.", recipe=recipe)
class Mine(nn.Module):
    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 28 * 28, n_classes)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        return self.head(1 * flow.flatten(1))
""",
    "augmentation": """
from bench.engine.augmentation import AUGMENTATIONS, Augmentation

mine = Augmentation("scale", lambda rng, n, amount: rng.random(n), lambda values, layout, drawn: 1 * values)
AUGMENTATIONS.add("mine", mine, origin=__name__)
""",
    "selection": """
from bench.engine.selection import SELECTIONS, Selection

class Mine(Selection):
    def value(self, labels, scores):
        return 1 * float(scores.mean())

SELECTIONS.add("mine", Mine("mine", "validation", "the most confident epoch"), origin=__name__)
""",
    "protocol": """
import numpy as np
from bench.study.protocols import Split, register_protocol

@register_protocol("mine", over="each", reference="a test")
def mine(data):
    \"\"\"Leave out one person; the first three samples of the others train nothing.\"\"\"
    alone = [(person, data.subjects == person) for person in sorted(set(data.subjects.tolist()))]
    return [Split(person, np.flatnonzero(own), np.flatnonzero(~own)[1 * 3 :]) for person, own in alone]
""",
    "task": """
from preprocess.labels.tasks import TASKS, Task

classes = {"negative": "calm", "positive": ("calm", "wild")[1 * 1], "surprise": "wild"}
TASKS.add("mine", Task("mine", ("calm", "wild"), lambda dataset: classes, "a test"), origin=__name__)
""",
}
ASKED = {
    "model": {"models": ["mine"]},
    "augmentation": {"models": ["ststnet"], "set": {"ststnet.augment": "mine"}},
    "selection": {"models": ["ststnet"], "selection": ["mine"]},
    "protocol": {"protocols": ["mine"]},
    "task": {"tasks": ["mine"]},
}


def load(folder: Path, source: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "plug_in_of_mine.py"
    file.write_text(source)
    load_plugins([str(file)])
    return file


def card(synthetic: list[PreparedDataset], kind: str, **changes: object) -> StudyCard:
    (found,) = plan_of(synthetic[:1], **{**ASKED[kind], **changes}).cards
    return found


@pytest.mark.parametrize("kind", PLUG_INS)
def test_changed_code_changes_the_keys_of_the_folds(
    kind: str, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    load(tmp_path / "a", PLUG_INS[kind])
    first = card(synthetic, kind)
    load(tmp_path / "b", f"# Lies elsewhere, with a comment.\n{PLUG_INS[kind]}")
    assert card(synthetic, kind) == first
    unload_plugins()
    load(tmp_path / "a", PLUG_INS[kind].replace("1 *", "0 *"))
    changed = card(synthetic, kind)
    assert not {fold.key for fold in first.folds} & {fold.key for fold in changed.folds}


@pytest.mark.parametrize("kind", ["augmentation", "selection"])
def test_a_plug_in_that_a_study_does_not_use_changes_no_key(
    kind: str, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    plain = {"selection": ["last"], "set": {}}
    before = card(synthetic, kind, **plain)
    load(tmp_path, PLUG_INS[kind])
    assert card(synthetic, kind, **plain) == before
    assert "plug_in_code" not in before.ingredients
    assert list(card(synthetic, kind).ingredients["plug_in_code"]) == [f"{kind} mine"]


STEP = """
from dataclasses import replace
import numpy as np
from helper_of_mine import FACTOR
from preprocess.steps import register_step

@register_step("mine", version=1)
def mine(work, *, add: int = 0):
    \"\"\"Make a tensor.\"\"\"
    return replace(work, tensor=np.full((2, 2), FACTOR + add, dtype=np.float32))
"""


def test_the_code_of_a_step_counts_in_the_recipe(tmp_path: Path) -> None:
    recipe = FeatureRecipe("mean", 1, "a test", (2, 2), "hw", "float32", (("mine", {}),))
    hashes = []
    for factor, folder in (("1", "a"), ("1", "b"), ("2", "b")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "helper_of_mine.py").write_text(f"FACTOR = {factor}\n")
        load(tmp_path / folder, STEP)
        hashes.append(recipe.as_json()["steps"])
    assert hashes[0] == hashes[1]
    assert hashes[1] != hashes[2]
    assert [step[1] for step in hashes[2]] == [f"1+{hashes[2][0][1].partition('+')[2]}"]


def test_a_built_in_step_is_told_by_its_version() -> None:
    from preprocess.recipes import FEATURES

    assert all(type(step[1]) is int for _, recipe in FEATURES.items() for step in recipe.as_json()["steps"])


DATASET = """
import numpy as np
from preprocess.datasets import DATASETS, Adapter, Found, RawDataset, RawFeature
from preprocess.samples.table import samples_table

def read(found):
    rows = [
        {"sample_id": f"mine/{person}/{clip}", "dataset": "mine", "subject": f"mine/{person}", "clip": clip}
        for person in "ab" for clip in "xy"
    ]
    values = lambda sample: np.full((3, 2, 2), 1 * 7, "uint8")
    flow = RawFeature({"name": "flow_uvs_28"}, (3, 2, 2), "uint8", str, values, "chw")
    return [RawDataset("mine", samples_table(rows), False, {"flow_uvs_28": flow})]

adapter = Adapter("mine", "a test", "mark", lambda at: [Found("mine", at, "raw")] * (at / "mark").exists(), read)
DATASETS.add("mine", adapter, origin=__name__)
"""


def test_the_code_of_a_datasets_own_features_counts_in_their_recipe(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mark").touch()
    load(tmp_path / "a", DATASET)
    made = prepare(*read_source(tmp_path / "data"), tmp_path / "shards", ["flow_uvs_28"])
    assert (made.load("flow_uvs_28") == 7).all()
    again = prepare(*read_source(tmp_path / "data"), tmp_path / "shards", ["flow_uvs_28"])
    assert (made.made, again.made, again.reused) == (2, 0, 2)
    load(tmp_path / "a", DATASET.replace("1 *", "0 *"))
    changed = prepare(*read_source(tmp_path / "data"), tmp_path / "shards", ["flow_uvs_28"])
    assert changed.made == 2
    assert (changed.load("flow_uvs_28") == 0).all()
    assert feature_of(read_source(tmp_path / "data")[0], "flow_uvs_28").recipe["code"] == DATASETS.code("mine")
