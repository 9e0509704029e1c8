"""The report's seven tables again, beside its own values, and the ledger of published numbers against own ones.

The report is a student's reproduction of DataDAM, PAD and DATM on MNIST and MHIST. `published` holds its values, `settings` what
it did, in two readings; `plan` and `jobs` carry that out; `tables` lays both side by side.
"""
