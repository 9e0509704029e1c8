"""Storage of studies: files in a folder or at a URI, locks and leases, each node's cache, and the records of trials.

May enter: code that reads and writes files of a study. Must not know: torch, networks, or how a verdict follows from a record.
"""
