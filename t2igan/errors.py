"""The one exception that speaks to the user."""


class UserError(Exception):
    """A mistake that the user can mend: one line that names the file or key at fault and the remedy.

    The command prints the message without a traceback (``--debug`` shows it) and exits with code 2.
    """
