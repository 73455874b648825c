"""Why a function did not succeed."""

from __future__ import annotations

from dacapo.border import well_formed
from dacapo.source import user_traceback


class Failure(Exception):
    """Why a function did not succeed, in any language. A failed task raises it, and a function may, to set all fields.

    Any other exception becomes a failure too: its type is the name of the class, its details are the traceback.

        raise dacapo.Failure("InsufficientFunds", "the account holds 3 cents", retriable=False)
    """

    def __init__(self, error_type: str, message: str, details: str | None = None, retriable: bool = True):
        super().__init__(error_type, message)
        self.error_type = error_type
        """A short name that callers match on."""
        self.message = message
        """One sentence for humans."""
        self.details = details
        """Longer information, such as a traceback."""
        self.retriable = retriable
        """Whether trying again may help. If false, no retry policy retries the failure."""

    def __str__(self) -> str:
        # The words of Durable Functions at the beginning of the message of a failed activity or sub-orchestration.
        message = str(self.message)
        says_who_failed = message.startswith(("Activity function '", "Orchestrator function '"))
        return message if says_who_failed else f"{self.error_type}: {message}"

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Makes the failure of an uncaught exception.

        The failure of a task keeps its type and message, in whatever language they were made. Its own details come
        first, because they name the root cause.
        """
        traceback = user_traceback(error)
        if isinstance(error, Failure):
            # The attributes may have any type.
            own = None if error.details is None else _text(error.details, "the details have no text: their __str__ fails")
            details = "\n\n".join(text for text in (own, traceback) if text)
            error_type = _text(error.error_type, cls.__name__)
            return cls(error_type, _text(error.message, _WORDLESS), details, error.retriable)
        return cls(type(error).__name__, _message(error), traceback)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
        if isinstance(error, ModuleNotFoundError):
            text += " (it is not part of the app, of its packages, or of the standard library)"
        return well_formed(text) or type(error).__name__
    except Exception:
        return _WORDLESS


def _text(value: object, without: str) -> str:
    try:
        return well_formed(str(value))
    except Exception:
        return without


_WORDLESS = "the exception has no text: its __str__ fails"


def nothing_to_wait_for(details: str | None = None) -> Failure:
    """Makes the failure of a function that nothing can ever resume. The details say where it waits."""
    message = (
        "the function awaits something that will never complete: whatever an orchestrator waits for must come from "
        "its context or from asyncio.sleep"
    )
    return Failure("NothingToWaitFor", message, details, retriable=False)
