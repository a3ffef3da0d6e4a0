"""``python -m bench`` is the command ``merbench``."""

from bench.cli import main

main()
