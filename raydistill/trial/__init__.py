"""One trial and its evaluation: the full-data baseline, the distillation with its readings, the confirmation.

May enter: what happens between a config and its record. Must not know: how configs are chosen, Ray, Optuna, the test split.
"""
