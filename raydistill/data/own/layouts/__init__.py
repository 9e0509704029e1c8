"""The layouts in which people keep labelled images: one file each, one function that makes a listing of a path."""
