"""Images that a generator makes for the captions of a data set, or for captions of one's own."""
