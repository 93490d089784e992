"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """Input that the user can mend, said in one line: what was expected and what was found.

    Commands print it without a traceback and exit with status 2.
    """
