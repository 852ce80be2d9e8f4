"""A progress bar, in a notebook or a terminal."""

from __future__ import annotations

from typing import Any

_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} evaluations [{elapsed}, {remaining} left{postfix}]"


class Bar:
    """tqdm's bar of evaluations done, of those that are known to be needed, the time left, and the estimated error."""

    def __init__(self) -> None:
        # Not at the top: to a script that shows no bar it would be half a second.
        from tqdm.auto import tqdm  # type: ignore[import-untyped]

        self._bar: Any = tqdm(total=0, bar_format=_FORMAT, leave=True)

    def __call__(self, done: int, total: int) -> None:
        """Set how many evaluations are done, and the total, which may grow during a run."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.refresh()

    def found(self, error: float) -> None:
        """Show the estimated relative error of the map so far."""
        self._bar.set_postfix_str(f"error {error:.2g}")

    def close(self) -> None:
        """Finish the bar, which stays as it is."""
        self._bar.close()
