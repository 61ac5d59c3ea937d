"""Drawn birds: the embedded data set of synthetic birds in CUB's layout.

``looks.yaml`` says how birds can look and what that is called. From it ``species`` invents species, and pose and
setting of each image; ``figure`` makes a bird's outlines, ``surroundings`` what is around it, ``painter`` the image
and its part map, ``captions`` the texts. ``source`` writes all of it to a folder, which is then read as CUB is.
"""
