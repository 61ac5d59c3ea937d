"""Generate images for the captions of a data set or of a user."""
