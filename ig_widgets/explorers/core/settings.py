"""Settings: the one list of what can be asked of an explorer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from ig_widgets.engine.rules import AUTO
from ig_widgets.explorers.widget.schema import INTEGER, NUMBER, TARGET, TEXT, Form

Target: TypeAlias = int | str

# The channel that is the sum over all.
SUM = "sum"


@dataclass(frozen=True)
class Settings:
    """What a request asks for. Each is a trait of the explorer, and may differ in a pane.

    `baseline`, `target`, `output` (the reading of the model's answer), `method`, `n_steps` (0 where the method samples
    to a tolerance), `tol` (0 where it does not), `channel` (the part of the attribution that is drawn), and `input`
    (which input, as its subject names it; "" where there is one alone).
    """

    baseline: str = field(metadata={"form": TEXT})
    target: Target = field(metadata={"form": TARGET})
    output: str = field(metadata={"form": TEXT})
    method: str = field(metadata={"form": TEXT})
    n_steps: int = field(metadata={"form": INTEGER})
    tol: float = field(metadata={"form": NUMBER})
    channel: str = field(metadata={"form": TEXT}, default=SUM)
    input: str = field(metadata={"form": TEXT}, default="")

    @staticmethod
    def of(values: Mapping[str, Any]) -> Settings:
        """Returns the settings that traits of these values ask for; what the method does not use becomes 0."""
        unused = {"n_steps": 0} if values["method"] == AUTO else {"tol": 0.0}
        return Settings(**{name: values[name] for name in FORMS} | unused)

    def as_traits(self) -> dict[str, Any]:
        """Returns values for the traits: all settings but those that the method does not use."""
        return {name: value for name, value in vars(self).items() if name not in ("n_steps", "tol") or value != 0}


# The names of all settings, in order, and the form of each.
FORMS: dict[str, Form] = {one.name: one.metadata["form"] for one in fields(Settings)}
