"""Boards as a test and as a browser see them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NO_BROWSER = (
    "there is no chromium to open the page with"
    if shutil.which("chromium") is None
    else "playwright, which drives chromium, is not installed"
    if find_spec("playwright") is None
    else ""
)
"""Why no page can be opened here; "" where one can."""


def data_of(page: str) -> dict[str, Any]:
    """Return the data that a page holds."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    value: dict[str, Any] = json.loads(found[1])
    return value


def shown_rows(page: str) -> list[dict[str, Any]]:
    """Return the lines of the leaderboard that a page holds."""
    rows: list[dict[str, Any]] = data_of(page)["rows"]
    return rows


@contextmanager
def opened(file: Path, width: int = 1300, colours: str = "light") -> Iterator[tuple[Any, list[str]]]:
    """Open a page in chromium; give it, and a list of what went wrong: errors of scripts, and calls of the network."""
    from playwright.sync_api import sync_playwright

    wrong: list[str] = []

    def called(request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            wrong.append(f"asked for {request.url}")

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
            page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("request", called)
            page.goto(file.as_uri())
            page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=20_000)
            yield page, wrong
        finally:
            browser.close()
