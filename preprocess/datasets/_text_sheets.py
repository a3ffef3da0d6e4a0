"""Sheets saved as text: whatever separates the columns, in the encodings that spreadsheet programs write."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter

DELIMITERS = (",", ";", "\t")
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# In Chinese text the bytes above 127 come in pairs, in European text mostly one at a time.
_HIGH = re.compile(rb"[\x80-\xff]+")
# A whole number that a program wrote with a decimal point, since a cell of its column was empty.
_WHOLE = re.compile(r"^(-?\d+)\.0+$")


def read_text(content: bytes) -> list[list[str]]:
    """Return the rows of a text file as cells of text; whole numbers come without a decimal point."""
    text = decode(content)
    if told := re.match(r"sep=(.)(?=\r?\n)", text):
        # Excel may name the separator in a line above the table. It stays, empty, so that rows are counted as there.
        return _cells(text[told.end() :], told[1])
    return max((_cells(text, delimiter) for delimiter in DELIMITERS), key=_regularity)


def _cells(text: str, delimiter: str) -> list[list[str]]:
    # Lines end as any system writes them.
    rows = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter)
    return [[_WHOLE.sub(r"\1", cell.strip()) for cell in row] for row in rows]


def decode(content: bytes) -> str:
    """Return the text of bytes in UTF-8, UTF-16, GB 18030 or Windows-1252, whichever they are."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pairs = all(len(run) % 2 == 0 for run in _HIGH.findall(content))
        return content.decode("gb18030" if pairs else "cp1252", errors="replace")


def _regularity(rows: list[list[str]]) -> tuple[int, int]:
    """Return in how many rows there are as many columns as in most, more than one; and how many columns that are."""
    widths = Counter(len(row) for row in rows if len(row) > 1)
    if not widths:
        return 0, 0
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    return count, width
