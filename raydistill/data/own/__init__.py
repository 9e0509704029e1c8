"""The user's own images: what a path holds (`listing`), what cannot be used and why, and the pixels, cached.

Nothing here loads torch, and nothing here splits: `image_folder` makes a data set of it, and `splits` its parts.
"""
