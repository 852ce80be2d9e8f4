"""Errors as sentences for a status line."""

from __future__ import annotations

from ig_widgets.engine.errors import IGError, OutOfMemoryError
from ig_widgets.explorers.core import protocol
from ig_widgets.texts import plain, words_of

# What a model raises may be of any length; a status line is not.
_LONGEST_SENTENCE = 1000


def describe_model_error(error: Exception) -> str:
    """Describes an error that was raised where the model is called, on one line."""
    return describe_error(error) if isinstance(error, IGError) else f"the model raised {describe_error(error)}"


def describe_error(error: Exception) -> str:
    """Describes any error on one line: one of this package by its sentence, others with their type's name."""
    words = plain(words_of(error), _LONGEST_SENTENCE) or "it says no more"
    return words if isinstance(error, IGError) else f"{plain(type(error).__name__)}: {words}"


def failed_message(error: Exception) -> protocol.Message:
    """Returns the `failed` of a request that ended with this error."""
    notes = getattr(error, "__notes__", ())
    hint = plain(" ".join(map(str, notes)), _LONGEST_SENTENCE)
    return protocol.failed("error", describe_model_error(error), hint)


def exit_error(error: BaseException) -> IGError:
    """Returns the error of a model that calls `sys.exit()`, or raises another BaseException."""
    found = IGError(
        f"the model raised {type(error).__name__}, which ends a program and is no answer; let forward raise an "
        f"Exception, or return."
    )
    found.__cause__ = error
    return found


def out_of_memory_error(error: Exception) -> OutOfMemoryError:
    """Returns the error of a run whose samples do not fit into memory, where no smaller chunk would help."""
    found = OutOfMemoryError(
        f"Memory ran out beside the model, for what is kept of each sample: {plain(words_of(error), 120)}. Fewer "
        f"n_steps or a smaller input need less; other explorers give theirs back when they are closed."
    )
    found.__cause__ = error
    return found
