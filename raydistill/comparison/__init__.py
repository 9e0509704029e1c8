"""Several methods at one IPC, side by side, in pairs with random real images of the same draw.

May enter: jobs of a comparison and their rows. Must not know: searches, certificates, words for people.
"""
