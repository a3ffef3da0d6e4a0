"""Everything that knows Ray. A worker that finds somebody else's modules in the place of ours says so."""

from bench.rooms import wrong_room

if _wrong := wrong_room():
    raise ImportError(_wrong)
