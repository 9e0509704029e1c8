"""What a set is good for besides one network: other networks, a memory in continual learning, the choice of a network.

May enter: one file per protocol, what they share (sources, units, records), and statistics as pure functions. Must not know:
tables, pages, certificates, Ray.
"""
