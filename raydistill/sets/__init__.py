"""Work on a single set: distilling it without a search, evaluating, importing, exporting and repeating it.

May enter: operations on a set outside of a study. Must not know: certificates, reports, Ray.
"""
