"""Comparison of several methods at one IPC, each paired with random real images.

May enter: jobs of a comparison and their rows. Must not know: searches, certificates, the text of reports.
"""
