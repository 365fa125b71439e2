"""The exceptions that users are meant to see."""


class UserError(Exception):
    """A fault in the input that the user can mend.

    The message is one sentence: where (file, line or key), what was found, and how to mend it. The command line prints
    it without a traceback and exits with status 1.
    """


class Preempted(Exception):
    """A signal asked to stop; what was done is kept, and the same command goes on from there.

    The command line exits with status :attr:`STATUS` (EX_TEMPFAIL of sysexits.h: try again later), after Ctrl-C 130.
    """

    STATUS = 75

    def __init__(self, message: str, status: int = STATUS) -> None:
        super().__init__(message)
        self.status = status
