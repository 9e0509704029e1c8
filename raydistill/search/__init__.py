"""The search: a solver that asks and is told, and two ways to carry its trials out, in this process or on Ray."""
