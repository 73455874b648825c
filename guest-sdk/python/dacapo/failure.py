"""Why a function did not succeed."""

from __future__ import annotations

from dacapo.source import user_traceback


class Failure(Exception):
    """A failure that crosses languages: what a failed task raises, and what a function may raise to set every field.

    Any other exception becomes a failure too: its type is the name of the class, its details are the traceback.

        raise dacapo.Failure("InsufficientFunds", "the account holds 3 cents", retriable=False)
    """

    def __init__(self, error_type: str, message: str, details: str | None = None, retriable: bool = True):
        super().__init__(error_type, message)
        self.error_type = error_type
        """A short name that callers match on."""
        self.message = message
        """One sentence for people."""
        self.details = details
        """Anything longer, such as a traceback."""
        self.retriable = retriable
        """Whether trying again may help. No retry policy retries a failure that says no."""

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}"

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an uncaught exception means.

        One that came out of a task keeps its type and message, whichever language it comes from. Its own details come
        first, because they name the root cause.
        """
        traceback = user_traceback(error)
        if isinstance(error, Failure):
            details = "\n\n".join(text for text in (error.details, traceback) if text)
            return cls(error.error_type, error.message, details, error.retriable)
        return cls(type(error).__name__, _message(error), traceback)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
        if isinstance(error, ModuleNotFoundError):
            text += " (a component holds what was imported when it was built: import it at the top level)"
        # A lone surrogate has no UTF-8 and could not leave the guest.
        return text.encode("utf-8", "backslashreplace").decode() or type(error).__name__
    except Exception:
        return "the exception has no text: its __str__ fails"


def nothing_to_wait_for(details: str | None = None) -> Failure:
    """Nothing that is open could ever let the function go on. The details say where it stands."""
    message = (
        "the function awaits something that will never complete: whatever an orchestrator waits for must come from "
        "its context or from asyncio.sleep"
    )
    return Failure("NothingToWaitFor", message, details, retriable=False)
