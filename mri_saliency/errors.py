"""The exceptions that mean: the user can fix this."""


class UserError(Exception):
    """A mistake in the request or in a file, with a message written for the user.

    The message says where the problem is, what was expected, what was found and what to do.
    It is printed without a traceback. Any other exception is a defect of this program and
    keeps its traceback.
    """


class OutputError(UserError):
    """The output folder cannot be written to, so that no further work makes sense."""
