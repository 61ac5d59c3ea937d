"""Drawn scenes: the embedded synthetic data set with layouts and narratives.

``world`` invents what a scene holds, with the looks of its stuff from ``looks.yaml`` and the outlines of its things
from ``shapes``; ``painter`` paints it, ``sentences`` writes its texts and ``traces`` the pointer of who tells them.
``source`` writes all of it to a folder and reads it as COCO is read.
"""
