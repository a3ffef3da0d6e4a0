"""Files of given weights: which lie in a folder, and which of them belongs to which fold."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mer_models._parts.weights_file import SUFFIXES
from preprocess.base.errors import UsageError

_SHOWN = 5


@dataclass(frozen=True)
class WeightsFiles:
    """The files behind ``--weights``.

    Attributes
    ----------
    path : the folder or file that was given.
    files : the files, sorted; one where a file was given.
    by_fold : whether each belongs to the fold that its name tells; else the one file stands for all folds.
    """

    path: Path
    files: tuple[Path, ...]
    by_fold: bool

    @property
    def name(self) -> str:
        """What the given folder or file is called."""
        return self.path.resolve().name

    def of_folds(self, folds: Sequence[str]) -> dict[str, Path]:
        """Return fold -> its file.

        Parameters
        ----------
        folds : what each fold holds out: subjects such as ``casme2/sub01``, or whatever the protocol calls its folds.

        Raises
        ------
        UsageError : a file fits no fold, or several; a fold has no file, or several; two folds have one name.
        """
        if not self.by_fold:
            return dict.fromkeys(folds, self.files[0])
        twice = [name for name, count in Counter(folds).items() if count > 1]
        if twice:
            raise UsageError(
                f"--weights {self.path}: several folds of this protocol hold out {twice[0]}, and a file's name cannot "
                "tell which of them it is for. Choose one study with --datasets, or another protocol."
            )
        found: dict[str, list[Path]] = defaultdict(list)
        for file in self.files:
            found[self._fold(file, folds)].append(file)
        for fold, files in found.items():
            if len(files) > 1:
                told = _listed([self._told(file) for file in files])
                raise UsageError(
                    f"--weights {self.path}: {told} are all named for {fold}; expected one file. Leave one there."
                )
        if missing := [fold for fold in folds if fold not in found]:
            raise UsageError(
                f"--weights {self.path}: no file for {_listed(missing)}; it has {len(found)} of the {len(folds)} that "
                f"are held out. Expected a file each, named for it, such as {missing[0].rpartition('/')[2]}.pth."
            )
        return {fold: found[fold][0] for fold in folds}

    def _fold(self, file: Path, folds: Sequence[str]) -> str:
        fitting = _fitting(self._told(file).removesuffix(file.suffix).lower(), folds)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UsageError(
                f"--weights {self.path}: {self._told(file)} may be for {_listed(fitting)}. Give its name the dataset, "
                f"too: {fitting[0].replace('/', '_')}{file.suffix}."
            )
        raise UsageError(
            f"--weights {self.path}: {self._told(file)} is named for nobody who is held out ({_listed(folds)}). Rename "
            "the file, leave it out of the folder, or give the data that it belongs to."
        )

    def _told(self, file: Path) -> str:
        return file.relative_to(self.path).as_posix()


def find_weights(text: str) -> WeightsFiles:
    """Return the files of a folder, at any depth, or the one file.

    Raises
    ------
    UsageError : there is nothing at the path, or no file of weights in the folder.
    """
    path = Path(text).expanduser()
    if path.is_file():
        return WeightsFiles(path, (path,), by_fold=False)
    if not path.is_dir():
        raise UsageError(f"--weights {text}: {path.absolute()} does not exist; expected a folder or a file of weights.")
    inside = (file for file in path.rglob("*") if file.is_file() and file.suffix in SUFFIXES)
    files = sorted(file for file in inside if not any(part[0] == "." for part in file.relative_to(path).parts))
    if not files:
        raise UsageError(f"--weights {text}: no file of weights lies there; expected {', '.join(SUFFIXES)}.")
    return WeightsFiles(path, tuple(files), by_fold=True)


def _fitting(name: str, folds: Sequence[str]) -> list[str]:
    """Return the folds that a file is named for: by the strictest of four ways that finds any.

    name : the file's path in the folder, without its suffix.
    """
    stem = name.rpartition("/")[2]

    def own(fold: str) -> str:
        return fold.lower().rpartition("/")[2]

    ways = (
        lambda fold: name == fold.lower(),
        lambda fold: all(_word(part, name) for part in fold.lower().split("/")) and "/" in fold,
        lambda fold: stem == own(fold),
        lambda fold: _word(own(fold), name),
    )
    for way in ways:
        if found := [fold for fold in folds if way(fold)]:
            return found
    return []


def _word(word: str, text: str) -> bool:
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
