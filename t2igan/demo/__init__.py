"""The local page of ``t2igan demo``."""
