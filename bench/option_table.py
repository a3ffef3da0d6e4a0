"""The README's table of options, made from their declarations: ``python -m bench.option_table`` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from bench.options.option import flag
from bench.takes import ALL, declared, default_text

README = Path(__file__).parents[1] / "README.md"
_TABLE = re.compile(r"^\| option \|.*\n(\|.*\n)+", re.MULTILINE)


def option_table() -> str:
    """Return the table as Markdown: an option a row, with what it takes and its default."""
    lines = ["| option | is | default |", "|---|---|---|"]
    for key in ALL:
        option, default = declared(key), default_text(key)
        name = flag(key) if option.metavar is None else f"{flag(key)} {option.metavar}"
        lines.append(f"| `{name}` | {option.help} | {default} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str) -> str:
    """Return a README with its table of options replaced by that of the declarations."""
    return _TABLE.sub(lambda _: option_table(), readme, count=1)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
