"""Rendered databases: one public-domain portrait made into many people whose faces move, with every motion known.

``portrait`` is the picture, ``people`` makes subjects of it, ``action_units`` and ``expressions`` say how their faces
move, ``film`` renders a clip, ``layouts`` writes databases as CASME II, SAMM and SMIC lie on disk, ``default`` is the
data of a run that was given none.
"""
