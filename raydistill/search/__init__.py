"""The search: a solver that proposes trials, the model of the gap that it uses, and the execution of trials, locally or on Ray.

May enter: how the next trial is chosen and when a search ends. Must not know: reports, commands. Only `on_ray` imports Ray.
"""
