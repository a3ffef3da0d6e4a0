"""``merbench synth``: render a synthetic database in the layout of a real one."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from bench.console.progress import ClipProgress
from bench.console.say import say
from preprocess.synth.databases import Options, plan
from preprocess.synth.long_recordings import LONG, plan_long, seconds_of
from preprocess.synth.trees import render


def synthesise(options: Options, out: Path, console: Console) -> int:
    """Render a database into ``out`` unless it is there already, and say how to use it; return the exit status.

    Raises
    ------
    UsageError : the options cannot be met.
    DataError : ``out`` holds something else or cannot be written.
    """
    out = out.expanduser()
    with ClipProgress(console, "rendering").shown() as progress:
        rendered = render(options, out, progress)
    told = "is rendered into" if rendered else "lies ready in"
    lines = [
        f"synth_{options.like}{'_long' if options.variant == LONG else ''}: {_described(options)}, {told} {out}",
        f"  {_use(options, shlex.quote(str(out)))}        benchmark models on it, as on the real database",
    ]
    for line in lines:
        say(console, line)
    return 0


def _described(options: Options) -> str:
    if options.variant == LONG:
        recordings = plan_long(options)
        number = sum(len(one.scene.emotions) for one in recordings)
        return (
            f"{number} SYNTHETIC {options.strength}-expressions in {len(recordings)} long recordings of "
            f"{options.subjects} people, {seconds_of(recordings) / 60:.1f} minutes"
        )
    clips = plan(options)
    frames = sum(clip.last - clip.first + 1 for clip in clips)
    return f"{len(clips)} SYNTHETIC {options.strength}-expression clips of {options.subjects} people, {frames} frames"


def _use(options: Options, out: str) -> str:
    more = " --tasks emotion3 --protocols loso,spot" if options.variant == LONG else ""
    return f"merbench run --data {out}{more}"
