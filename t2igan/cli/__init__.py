"""The ``t2igan`` command."""
