"""Which adapter reads a given folder: databases are recognised by their layout, wherever they lie."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from preprocess.base.errors import DataError, UsageError
from preprocess.datasets._adapter import DATASETS, Found, RawDataset, describe
from preprocess.datasets._apex_lists import with_apexes
from preprocess.datasets._apexes import without_idle_apexes
from preprocess.datasets._find import find, not_read
from preprocess.datasets._folders import follow, links_on, listing, real, remembered_listings
from preprocess.datasets._given import Given
from preprocess.datasets._versions import with_versions

# A database hides this many levels below the folder that a person gives, and among this many folders.
DEPTH = 6
FOLDERS = 20_000
# The word beside a variant that lets faces be aligned in crops that a database's authors registered.
ALIGN = "align"

NONE: Mapping[str, Given] = MappingProxyType({})


def detect(path: Path, adapter: str | None = None, given: Mapping[str, Given] = NONE) -> list[Found]:
    """Return every database that is recognised at a folder or below it.

    A database that is found is not searched for others. Links to folders are followed; what is reached in two ways
    counts once. A sheet without its clips counts only where the database is found nowhere else.

    Parameters
    ----------
    path : the folder.
    adapter : look for this database only; None looks for all.
    given : adapter -> what a person gave for it, such as its sheet.

    Returns
    -------
    What was found, sorted by adapter, root, variant and nearness of the sheet.

    Raises
    ------
    DataError : there are too many folders, following a link would never end, or a sheet that was given cannot be read.
    UsageError : a sheet was given that the database does not have.
    """
    known = {name: _with_versions(name, one) for name, one in given.items()}
    names = [adapter] if adapter is not None else DATASETS.names()
    everything: list[Found] = []
    with remembered_listings():
        for folder, descend in _folders(path):
            here = [one for name in names for one in _find(name, folder, known)]
            # Two databases may have folders of one layout; frames and sheet tell which it is.
            lacking = min((len(one.missing) for one in here), default=0)
            here = [one for one in here if len(one.missing) == lacking]
            everything += here
            descend(not any(one.variant or not one.missing for one in here))
    complete = {found.adapter for found in everything if found.variant or not found.missing}
    kept = [found for found in everything if found.variant or not found.missing or found.adapter not in complete]
    once: dict[tuple[str, Path, str, str], Found] = {}
    for found in kept:
        once.setdefault((found.adapter, real(found.root), found.variant, found.version), found)
    return sorted(once.values(), key=lambda found: (found.adapter, str(found.root)))


def _with_versions(adapter: str, given: Given) -> Given:
    database = DATASETS.get(adapter).database
    if database is None:
        raise UsageError(
            f"{adapter} takes neither --sheet, --columns nor --apex: its annotation has one form and place."
        )
    return with_versions(database, given)


def _find(adapter: str, folder: Path, given: Mapping[str, Given]) -> list[Found]:
    """Return what of a database lies at a folder; where something was given for it, that is looked at."""
    database = DATASETS.get(adapter).database
    return (
        find(database, folder, given[adapter]) if database and adapter in given else DATASETS.get(adapter).find(folder)
    )


def read_source(
    path: Path | str, adapter: str | None = None, variant: str | None = None, given: Mapping[str, Given] = NONE
) -> list[RawDataset]:
    """Read the datasets that lie at a folder or below it.

    Parameters
    ----------
    path : the folder.
    adapter : the name of the adapter to use; None reads every database that is recognised.
    variant : which form to read, words with commas between: a variant ("raw", "cropped"), a version of the sheet
        ("2014"), a sheet to join whose fields count ("objective"). None reads the preferred variant with the nearest
        sheet, of equally near ones the newest official one, and notes what else lies there. A word "align" besides lets
        faces be found and aligned in registered crops, too.
    given : adapter -> what a person gave for it: sheets, the headings of their columns, a list of apexes.

    Raises
    ------
    DataError : there is no such folder; nothing in it is recognised; a folder fits several adapters; a database lies
        there twice, or half of it is missing; the adapter finds something wrong.
    UsageError : the adapter is unknown, or the variant is not there.
    """
    path = Path(path)
    if adapter is not None:
        DATASETS.get(adapter)
    if not path.is_dir():
        state = "is a file" if path.exists() else "does not exist"
        hint = f" It lies in {path.absolute().parent}." if path.exists() else ""
        raise DataError(f"Data path {path} {state}; expected a folder that holds a dataset.{hint}")
    # Sheets are looked for around every tree, in folders that were listed to find the tree.
    with remembered_listings():
        return _datasets(path, adapter, variant, given)


def _datasets(path: Path, adapter: str | None, variant: str | None, given: Mapping[str, Given]) -> list[RawDataset]:
    found = detect(path, adapter, given)
    if not found:
        raise DataError(_nothing(path, adapter))
    _one_adapter_a_folder(found)
    words = [word.strip() for word in (variant or "").split(",") if word.strip()]
    databases: dict[tuple[str, Path | None], list[Found]] = defaultdict(list)
    for one in _of_variant(found, [word for word in words if word != ALIGN], path):
        databases[one.adapter, one.root if DATASETS.get(one.adapter).apart else None].append(one)
    datasets: dict[str, tuple[RawDataset, Found]] = {}
    groups, unread = _with_clips(list(databases.values()), adapter)
    for several in groups:
        chosen, notes = _preferred(several)
        notes += links_on(path, chosen.root)
        for dataset in _read(chosen):
            if dataset.name in datasets:
                other = datasets[dataset.name][1]
                raise DataError(
                    f"Dataset {dataset.name} lies in {path} twice: {other.root} ({other.adapter}) and {chosen.root} "
                    f"({chosen.adapter}). Say which one is meant: {_source(other)} or {_source(chosen)}."
                )
            noted = _crops(replace(dataset, notes=(*notes, *unread, *dataset.notes)), chosen, align=ALIGN in words)
            datasets[dataset.name] = (noted, chosen)
    return [dataset for dataset, _ in datasets.values()]


def _with_clips(groups: Sequence[list[Found]], adapter: str | None) -> tuple[list[list[Found]], list[str]]:
    """Return the databases to read, and notes on those of which only a sheet lies there, beside the clips of others.

    Where one of these was asked for, or nothing else is there, it stays, so that it is told what is missing.
    """
    whole = [several for several in groups if any(one.variant or not one.missing for one in several)]
    if adapter is not None or not whole:
        return list(groups), []
    sheets = [one for several in groups if several not in whole for one in several]
    return whole, [f"{one.adapter} in {one.root} is not read: missing {what}" for one in sheets for what in one.missing]


def _read(found: Found) -> list[RawDataset]:
    adapter = DATASETS.get(found.adapter)
    datasets = [without_idle_apexes(dataset) for dataset in map(_with_code(found.adapter), adapter.read(found))]
    return with_apexes(datasets, adapter.database, found.given) if adapter.database else datasets


def _source(found: Found) -> str:
    """Return what names a thing found, as a shell takes it after ``--data``."""
    return shlex.quote(f"{found.adapter}={found.root}")


def _with_code(adapter: str) -> Callable[[RawDataset], RawDataset]:
    """Return what lets the code of an adapter from a plug-in count in the recipes of the features that it computes."""
    code = DATASETS.code(adapter)

    def stamped(dataset: RawDataset) -> RawDataset:
        features = {
            name: replace(feature, recipe={**feature.recipe, "code": code})
            for name, feature in dataset.features.items()
        }
        return dataset if code is None else replace(dataset, features=features)

    return stamped


def _folders(path: Path) -> Iterator[tuple[Path, Callable[[bool], None]]]:
    """Yield a folder and all below it, level by level; the caller says of each whether to look below it.

    A folder that is reached in two ways comes twice, since a link may have the telling name; what is below it, once.
    """
    level = [path]
    searched: set[Path] = set()
    seen = 0
    for _ in range(DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            seen += 1
            if seen > FOLDERS:
                raise DataError(
                    f"{path} holds more than {FOLDERS} folders besides the databases recognised. Give a folder nearer "
                    "to the data."
                )
            answers: list[bool] = []
            yield folder, answers.append
            if all(answers) and real(folder) not in searched:
                searched.add(real(folder))
                children = [folder / name for name, is_folder in listing(folder) if is_folder]
                links = [child for child in children if child.is_symlink()]
                for link in links:
                    follow(link, path)
                below += [*(child for child in children if child not in links), *links]
        level = below


def _one_adapter_a_folder(found: Sequence[Found]) -> None:
    at: dict[Path, dict[str, Found]] = defaultdict(dict)
    for one in found:
        if not one.missing:
            at[one.root].setdefault(one.adapter, one)
    for root, several in at.items():
        if len(several) > 1:
            options = " or ".join(_source(one) for _, one in sorted(several.items()))
            raise DataError(f"{root} fits more than one layout. Say which one is meant: {options}.")


def _of_variant(found: Sequence[Found], words: Sequence[str], path: Path) -> list[Found]:
    fitting = []
    for one in found:
        database = DATASETS.get(one.adapter).database
        joined = tuple(sheet.version for sheet in database.joined if sheet.version in words) if database else ()
        if all(word in (one.variant, one.version, *joined) for word in words):
            fitting.append(replace(one, words=joined))
    if fitting:
        return fitting
    there = "; ".join(sorted({describe(one) for one in found}))
    others = {sheet.version for one in found if (base := DATASETS.get(one.adapter).database) for sheet in base.joined}
    more = f" To join, where such a sheet lies there: {', '.join(sorted(others))}." if others else ""
    raise UsageError(f"Nothing in {path} is of variant {','.join(words)!r}. Found: {there}.{more}")


def _crops(dataset: RawDataset, found: Found, *, align: bool) -> RawDataset:
    """Return the dataset with its registered crops taken as wanted, and a note on it."""
    registered = any(clip.registered for clip in dataset.clips.values())
    if not registered and align:
        raise UsageError(
            f"{describe(found)} in {found.root} holds no crops that its authors registered, so its faces are aligned "
            f"anyway. Leave out the word {ALIGN!r}."
        )
    if not registered:
        return dataset
    if align:
        clips = {name: replace(clip, registered=False) for name, clip in dataset.clips.items()}
        note = "the authors' registered crops are aligned once more, as --data says"
        return replace(dataset, clips=clips, notes=(note, *dataset.notes))
    note = (
        "the pictures are the face as the authors cut it out and registered it, and are used so; to align faces in "
        f"them instead: --data {describe(found)},{ALIGN}=PATH"
    )
    return replace(dataset, notes=(note, *dataset.notes))


def _preferred(found: Sequence[Found]) -> tuple[Found, list[str]]:
    """Return the form of one database to read, and notes on the others.

    Raises
    ------
    DataError : no form can be read, or the preferred one lies there twice.
    """
    whole = [one for one in found if not one.missing]
    if not whole:
        lacking = "\n".join(f"  {one.root}: missing {what}" for one in found for what in one.missing)
        raise DataError(f"{found[0].adapter} was recognised but cannot be read:\n{lacking}")
    order = DATASETS.get(whole[0].adapter).variants
    best = min((order.index(one.variant) for one in whole if one.variant in order), default=0)
    same = [one for one in whole if not order or one.variant == order[best]]
    roots = sorted({one.root for one in same})
    if len(roots) > 1:
        raise DataError(
            f"{same[0].adapter} lies there twice ({same[0].variant}): {' and '.join(map(str, roots))}. "
            "Give the folder of the one that is meant."
        )
    chosen = same[0]
    notes = []
    for one in whole:
        if one is not chosen:
            sheets = f" (sheet {chosen.sheet}, not {one.sheet})" if one.sheet != chosen.sheet else ""
            notes.append(f"{describe(chosen)} is read; {describe(one)} in {one.root} is not{sheets}")
    if chosen.sheet and (others := [file for file in chosen.others if file not in [one.sheet for one in whole]]):
        why = "the one given" if chosen.sheet in chosen.given.sheets.values() else "the nearest"
        notes.append(not_read(chosen.sheet, why, others))
    notes += [f"{one.root} is not read: missing {what}" for one in found for what in one.missing]
    return chosen, notes


def _nothing(path: Path, adapter: str | None) -> str:
    known = "\n".join(f"  {name}: {DATASETS.get(name).layout}" for name in DATASETS.names(adapter or "*"))
    return (
        f"No dataset was recognised in {path}, down to {DEPTH} levels. "
        f"Looked for:\n{known}\nGive a folder that holds such a tree, or name the adapter: NAME=PATH."
    )
