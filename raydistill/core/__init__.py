"""The numerical library: networks, recipes, matching losses, selection, intervals. Tensors and numbers go in and come out.

May enter: formulas that methods or judges share, each with its source. Must not know: where things are stored, Ray, Optuna.
"""
