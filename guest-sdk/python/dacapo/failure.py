"""Why a function did not succeed."""

from __future__ import annotations

from dacapo.border import well_formed
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
        # Durable Functions' words, with which the host begins the message of a failed activity or sub-orchestration.
        message = str(self.message)
        says_who_failed = message.startswith(("Activity function '", "Orchestrator function '"))
        return message if says_who_failed else f"{self.error_type}: {message}"

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an uncaught exception means.

        One that came out of a task keeps its type and message, whichever language it comes from. Its own details come
        first, because they name the root cause.
        """
        traceback = user_traceback(error)
        if isinstance(error, Failure):
            # Who raises one may have given it anything.
            own = None if error.details is None else _text(error.details, "the details have no text: their __str__ fails")
            details = "\n\n".join(text for text in (own, traceback) if text)
            error_type = _text(error.error_type, cls.__name__)
            return cls(error_type, _text(error.message, _WORDLESS), details, error.retriable)
        return cls(type(error).__name__, _message(error), traceback)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
        if isinstance(error, ModuleNotFoundError):
            text += " (a component holds what was imported when it was built: import it at the top level)"
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
    """Nothing that is open could ever let the function go on. The details say where it stands."""
    message = (
        "the function awaits something that will never complete: whatever an orchestrator waits for must come from "
        "its context or from asyncio.sleep"
    )
    return Failure("NothingToWaitFor", message, details, retriable=False)
