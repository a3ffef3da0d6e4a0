"""``python -m bench`` is the command ``merbench``."""

from bench.cli import main

if __name__ == "__main__":
    main()
