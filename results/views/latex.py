"""Text inside LaTeX."""

from __future__ import annotations

_SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"},
    **{"·": r"\textperiodcentered{}", "±": r"$\pm$"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}


def latex_escaped(text: str) -> str:
    """Return a text as LaTeX prints it: no character of it is a command."""
    return "".join(_SPECIAL.get(character, character) for character in text)
