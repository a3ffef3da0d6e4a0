"""What is declared of an option, once: its words for people. Name, type and default are those of the field it marks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """The declaration of an option, put into the annotation of a field of ``bench.config.RunConfig``.

    The command line, its help, the keys of a YAML file and the table in the README are made from it.

    Attributes
    ----------
    help : what it is for and what it takes; one text for the help and the README, with code in `backticks`.
    metavar : the word that stands for its value; None for a switch.
    default : the default in words, where the field's own default does not tell.
    everywhere : whether every command takes it (each that is marked with ``bench.takes.takes``).
    """

    help: str
    metavar: str | None = None
    default: str = ""
    everywhere: bool = False


def flag(key: str) -> str:
    """Return the option of a key: ``--tracking-uri`` of ``tracking_uri``."""
    return "--" + key.replace("_", "-")


def key_of(name: str) -> str:
    """Return the key that a name in a YAML file means; dashes are as good as underscores."""
    return name.replace("-", "_")
