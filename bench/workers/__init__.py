"""Everything that knows Ray. A worker that finds somebody else's modules in the place of ours says so."""

from bench.rooms import wrong_room

if _wrong := wrong_room():
    raise ImportError(_wrong)

from preprocess.base.garbage import look_rarely

# The first that a worker imports of ours: Ray Tune and torch come next.
look_rarely()
