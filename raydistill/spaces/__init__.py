"""What a person writes, and how it is read: the sections of a search space, its ranges, and its mistakes in one message.

May enter: a field of a space, its check, its unit in words. Must not know: torch, stores, or anything of the package but
`errors`.
"""
