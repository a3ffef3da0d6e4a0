"""Rendered databases: one public-domain portrait made into many people whose faces move, with every motion known.

``portrait`` is the picture, ``people`` makes subjects of it, ``action_units`` and ``expressions`` say how their faces
move, and ``film`` renders a clip. ``databases`` says what CASME II, SAMM and SMIC look like on disk, ``sheets`` writes
their annotations, ``trees`` writes whole databases. ``default`` is the data of a run that was given none.
"""
