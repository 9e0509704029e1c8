"""Data sets, and all that is done to images before a network sees them: reading, splitting, standardising, whitening.

May enter: a function that reads a data set, and its line in `splits.DATASETS`. Must not know: networks, methods, studies.
"""
