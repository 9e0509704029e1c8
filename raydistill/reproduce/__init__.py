"""Repeats the report's seven tables, and compares published numbers with own results in a ledger.

The report is a student's reproduction of DataDAM, PAD and DATM on MNIST and MHIST. `published` has its values, `settings` its
settings in two readings (as run by its code, and as specified in its text); `run` and `jobs` repeat them; `tables` shows both
side by side.
"""
