"""``python -m bench`` is the command ``merbench``."""

from bench.rooms import start

start()
