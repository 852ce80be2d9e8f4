"""What went wrong, in words for a status line."""

from __future__ import annotations

from ig_widgets.engine.errors import IGError, OutOfMemoryError
from ig_widgets.explorers.core import protocol
from ig_widgets.texts import plain, words_of

# What a model raises may be of any length; a status line is not.
_LONGEST_SENTENCE = 1000


def sentence(error: Exception) -> str:
    """What went wrong where the model is asked, in words, on one line."""
    return cause(error) if isinstance(error, IGError) else f"the model raised {cause(error)}"


def cause(error: Exception) -> str:
    """What went wrong anywhere, on one line: an error of this package says it in words, others by their name too."""
    words = plain(words_of(error), _LONGEST_SENTENCE) or "it says no more"
    return words if isinstance(error, IGError) else f"{plain(type(error).__name__)}: {words}"


def failed(error: Exception) -> protocol.Message:
    """The `failed` of a request that ended so."""
    notes = getattr(error, "__notes__", ())
    return protocol.failed("error", sentence(error), plain(" ".join(map(str, notes)), _LONGEST_SENTENCE))


def left_by(error: BaseException) -> IGError:
    """Of a model that asks Python to end (`sys.exit()`), or raises what is meant to be caught by nobody."""
    found = IGError(
        f"the model raised {type(error).__name__}, which ends a program and is no answer; let forward raise an "
        f"Exception, or return."
    )
    found.__cause__ = error
    return found


def beside_the_model(error: Exception) -> OutOfMemoryError:
    """Memory may run out where no smaller chunk would help."""
    found = OutOfMemoryError(
        f"Memory ran out beside the model, for what is kept of each sample: {plain(words_of(error), 120)}. Fewer "
        f"n_steps or a smaller picture need less; other explorers give theirs back when they are closed."
    )
    found.__cause__ = error
    return found
