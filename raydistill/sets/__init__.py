"""One set by itself: distilled without a search, evaluated, imported from others, exported to them, run again.

May enter: what is done to a set outside a study. Must not know: certificates, reports, Ray.
"""
