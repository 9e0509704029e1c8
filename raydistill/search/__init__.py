"""The search: a solver that asks and is told, the law of the gap behind it, and two ways to carry trials out, here or on Ray.

May enter: how the next trial is chosen and when a search ends. Must not know: words for people. Only `on_ray` imports Ray.
"""
