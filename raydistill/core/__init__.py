"""The numerical library: networks, training recipes, matching losses, selection of images, confidence intervals.

May enter: formulas that methods or evaluations share, each with its source. Must not know: storage, Ray, Optuna.
"""
