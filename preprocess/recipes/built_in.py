"""The recipes that ship with this package: the YAML files beside this module."""

from pathlib import Path

from preprocess.recipes import load_recipes

for _file in sorted(Path(__file__).parent.glob("*.yaml")):
    load_recipes(_file)
