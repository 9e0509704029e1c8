"""Data sets: reading, splitting and preprocessing (standardisation or whitening) of images.

May enter: a function that reads a data set, and its line in `datasets.DATASETS`. Must not know: networks, methods, studies.
"""
