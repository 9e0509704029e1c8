"""Benchmarks on this machine: time and memory of a step, of the three gradients, of Ray Tune, and comparisons of solvers.

May enter: measurements of time, memory and counts. Must not know: reports and the command line.
"""
