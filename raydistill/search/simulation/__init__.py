"""Searches of made-up problems with known truth: how solvers are compared without training."""
