"""What can go wrong, said in one sentence that a user can act on."""


class UlmfitError(Exception):
    """Base of every error that this library raises on purpose; the command line prints its message and exits 2.

    Examples:
        >>> from ulmfit_lib import UlmfitError, read_table
        >>> try:
        ...     read_table("nowhere.csv", text="review")
        ... except UlmfitError as error:
        ...     print(error)
        nowhere.csv: ...
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message  # fastai writes remarks of its own into what comes out of a callback


class DataError(UlmfitError, ValueError):
    """The texts or labels cannot be used: the message names the file, the row or the column, and the way out."""


class ArtifactError(UlmfitError):
    """A saved model cannot be read or written: the message names the file at fault."""


class OptionError(UlmfitError, ValueError):
    """An argument or option has a value that does not fit: the message gives the value and the choices."""


class TrainingError(UlmfitError):
    """Training cannot go on: the message says at which step and what to try."""


class Interrupted(BaseException):
    """Ctrl-C in a command; not KeyboardInterrupt, for which the libraries in between have answers of their own."""


def first_line(error: BaseException) -> str:
    """What somebody else's error says, for a sentence of ours; its kind where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)
