"""Exceptions whose message is shown to the user."""

import signal


class UserError(Exception):
    """A user's mistake: a one-line message that names the file or key at fault and the remedy.

    The command prints the message without a traceback (``--debug`` shows it) and exits with code 2.
    """


class Stopped(BaseException):
    """A stop signal was received. The command prints one line and exits with :attr:`code`.

    Not an :class:`Exception`, so that code which continues after errors does not catch it.

    Args:
        number: signal number.

    Attributes:
        code: 130 after Ctrl-C, as shells have it; 143 after SIGTERM and after the warnings of batch systems.
        left: description of the state that is left behind.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.code = 128 + (signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
        self.left = "the same command continues from here"

    def __str__(self) -> str:
        by = "interrupted" if self.number == signal.SIGINT else f"stopped by {signal.Signals(self.number).name}"
        return f"{by}; {self.left}"
