"""Measurements of this machine: seconds and memory of a step, of the three gradients, of Tune, and of the solver.

May enter: whatever times or counts and proves nothing about a data set. Must not know: reports and the command line.
"""
