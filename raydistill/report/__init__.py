"""What a person reads of a study: tables, summaries, progress. Fractions become percent and points here.

May enter: words, tables and pictures made from records. Must not know: how a certificate or the published tables are made.
"""
