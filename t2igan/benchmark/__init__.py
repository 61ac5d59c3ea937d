"""Plans of many runs: what is to be done, in which order, and where."""
