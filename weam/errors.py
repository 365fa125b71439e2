"""The one exception type that users are meant to see."""


class UserError(Exception):
    """A fault in the input that the user can mend.

    The message is one sentence: where (file, line or key), what was found, and how to mend it. The command line prints
    it without a traceback and exits with status 1.
    """
