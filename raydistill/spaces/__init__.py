"""Search spaces: their sections and ranges, how they are read from YAML, and the one message that lists all mistakes in them.

May enter: a field of a search space, its check, its unit in words. Must not import: torch, or any module of the package except
`errors`.
"""
