"""Where studies lie: files on a folder or a URI, locks and leases, a node's cache, and the records that are the only truth.

May enter: what reads and writes files of a study. Must not know: torch, networks, what a number in a record means for a verdict.
"""
