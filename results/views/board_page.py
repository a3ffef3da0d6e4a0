"""The board: one HTML file with everything in it, made from the store, that any browser opens without a network.

The page is ``board/page.html``, filled in by Jinja2; its table is DataTables (carried by the package itables), its
pictures are Bokeh's.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.base.code import ROOT
from preprocess.base.errors import MerError
from preprocess.base.hashing import digest, digest_bytes
from results.scores.claims import Printed, claims
from results.scores.comparison import compare
from results.scores.leaderboard import build_leaderboard
from results.scores.pairs import Pair
from results.scores.pooling import FULL
from results.scores.stored_study import StoredStudy, read_studies
from results.store.chosen import benchmark_title
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.views.board_data import BoardData, Size, board_data
from results.views.claims_text import HEADERS, LEGEND
from results.views.shift_text import LEGEND as SHIFT_LEGEND
from results.views.shift_text import TITLE as SHIFT_TITLE

FILE = "board.html"
"""What the board is called beside the results."""

MOST_COMPARED = 30
"""Models of one benchmark that the page compares pair by pair; of more, `merbench compare` compares those named."""

_FOLDER = Path(__file__).parent / "board"
_MADE_BY = (ROOT / "results", ROOT / "preprocess" / "base")
"""The folders of all code that a page is made by: this room, and what it may import."""


def board_page(
    store: OutcomeStore,
    cards: Sequence[StudyCard] | None = None,
    *,
    rng: np.random.Generator,
    sizes: Mapping[str, Size] | None = None,
    printed: Sequence[Printed] = (),
    cached: Mapping[str, StoredStudy] | None = None,
    made_of: str = "",
) -> bytes:
    """Return the board as an HTML file.

    Parameters
    ----------
    store : where the outcomes lie.
    cards : the studies; None for all of the store.
    rng : as in ``build_leaderboard`` and ``compare``; an equal generator gives their numbers. It is left as it was.
    sizes : the first 16 digits of a study's key -> its network's size, where that is known.
    printed : scores that are printed elsewhere, to be shown beside ours.
    cached : study key -> studies that the caller has read already.
    made_of : a digest of what the page shows, which ``page_of`` finds on it.

    Raises
    ------
    HonestyError : a complete study's predictions contradict its card or each other.
    StoreError : the store cannot be read.
    """
    chosen = list({card.key: card for card in (store.cards() if cards is None else cards)}.values())
    known = cached or {}
    studies = {**read_studies(store, [card for card in chosen if card.key not in known]), **known}
    studies = {card.key: studies[card.key] for card in chosen}
    leaderboard = build_leaderboard(store, chosen, rng=copy.deepcopy(rng), cached=studies)
    pairs, notes = _pairs(store, chosen, studies, copy.deepcopy(rng))
    data = board_data(leaderboard, pairs, studies.values(), sizes or {}, claims(printed, leaderboard.rows))
    data.notes += notes
    return render_page(data, store.where(), made_of)


def page_of(file: Path) -> str:
    """Return the digest of what a page shows that was written before; "" for none, or for a page that is not whole."""
    try:
        page = file.read_bytes()
    except OSError:
        return ""
    found = re.search(rb'<meta name="made-of" content="([0-9a-f]{64})">', page[:1000])
    return found[1].decode() if found and page.rstrip().endswith(b"</html>") else ""


def page_code() -> str:
    """Return the hash of what makes pages: our code, the page's parts, the packages that it carries.

    Hashed as files, comments and all, which takes a hundredth of the time of ``code_fingerprint``: a page that is made
    once more for them costs less than finding out at the end of every run.
    """
    files = digest_bytes(*(path.read_bytes() for path in page_files()))
    return digest([files, version("itables"), version("bokeh"), _version()])


def page_files() -> list[Path]:
    """Return the files of our code, and the page's parts."""
    kinds = (".py", ".html", ".css", ".js")
    return sorted(path for room in _MADE_BY for path in room.rglob("*") if path.suffix in kinds)


def render_page(data: BoardData, root: str, made_of: str = "") -> bytes:
    """Return the page of some data. root : of the store, for people. made_of : as in ``board_page``."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    synthetic = [board["synthetic"] for board in data.boards]
    page = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True).get_template("page.html")
    text = page.render(
        made=datetime.now(UTC).strftime("Made on %Y-%m-%d at %H:%M UTC"),
        version=_version(),
        made_of=made_of,
        root=root,
        legend=LEGEND,
        shift_title=SHIFT_TITLE,
        shift_legend=SHIFT_LEGEND,
        synthetic="all" if synthetic and all(synthetic) else "some" if any(synthetic) else "",
        css=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup((_FOLDER / "page.js").read_text(encoding="utf-8")),
        table_css=Markup(_carried("itables", "html/dt_bundle.css")),
        tables=Markup(_as_global(_carried("itables", "html/dt_bundle.js"))),
        bokeh=Markup(_carried("bokeh", "server/static/js/bokeh.min.js")),
        bokeh_api=Markup(_carried("bokeh", "server/static/js/bokeh-api.min.js")),
        data=Markup(_json({**data.to_json(), "root": root, "claimHeaders": [name for name, _ in HEADERS[1:]]})),
    )
    return text.encode()


def _pairs(
    store: OutcomeStore, cards: Sequence[StudyCard], studies: Mapping[str, StoredStudy], rng: np.random.Generator
) -> tuple[list[Pair], list[str]]:
    """Return the pairs of models that are compared, and a note for each benchmark that has too many."""
    models: dict[str, set[str]] = {}
    for card in cards:
        if not card.stamp:
            models.setdefault(benchmark_title(card), set()).add(card.label)
    crowded = [title for title, labels in models.items() if len(labels) > MOST_COMPARED]
    fit = [card for card in cards if benchmark_title(card) not in crowded]
    notes = [
        f"{title}: {len(models[title])} models, not compared pair by pair here; `merbench compare` compares those that "
        "you name."
        for title in crowded
    ]
    return (compare(store, fit, rng=rng, parts=(FULL,), cached=studies).pairs if fit else []), notes


@cache
def _carried(package: str, file: str) -> str:
    """Return a JavaScript or CSS file that an installed package carries; the package is not imported."""
    found = find_spec(package)
    path = Path(found.origin).parent / file if found and found.origin else None
    if path is None or not path.is_file():
        raise MerError(
            f"The board needs the package {package} with its file {file}; install it: pip install {package}."
        )
    text = path.read_text(encoding="utf-8")
    # Inside of a page, this would end the script or the style early.
    return re.sub(r"</(script|style)", r"<\\/\1", text, flags=re.IGNORECASE)


@cache
def _as_global(module: str) -> str:
    """Return a JavaScript module that puts what it exports into ``window.merbenchTables``: a page cannot import it."""
    exports = re.findall(r"export\s*\{([^{}]*)\};?", module)
    if len(exports) != 1 or " as default" not in exports[0]:
        version_of = version("itables")
        raise MerError(f"itables {version_of} carries its table in a form that is unknown here; install itables 2.9.")
    names = [name.strip().split(" as ") for name in exports[0].split(",")]
    values = ",".join(f"{json.dumps(name[-1])}:{name[0]}" for name in names)
    return re.sub(r"export\s*\{[^{}]*\};?", lambda _: f"window.merbenchTables={{{values}}};", module)


def _json(value: dict[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _version() -> str:
    try:
        return version("merbench")
    except PackageNotFoundError:
        return ""
