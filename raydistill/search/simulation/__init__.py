"""Searches on simulated problems with a known solution, for the comparison of solvers without training."""
