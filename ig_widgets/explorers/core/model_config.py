"""Model configuration: the labels and the kind of scores that a model of Hugging Face's tells of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ig_widgets.engine.reachable_modules import modules_of
from ig_widgets.explorers.core.scores import RAW, SIGMOID, SOFTMAX

_KINDS = {
    "single_label_classification": SOFTMAX,
    "multi_label_classification": SIGMOID,
    "regression": RAW,
}
# What transformers writes where nobody gave names.
_DEFAULT_NAME = re.compile(r"LABEL_\d+")


@dataclass(frozen=True)
class ModelConfig:
    """What the configuration of a model with `count` classes tells.

    `labels`: a mapping from numbers to names, None where these are not real ones. `scores`: their kind and how it is
    known, None where nothing is said.
    """

    count: int
    labels: Mapping[int, str] | None
    scores: tuple[str, str] | None


def configs_of(model: object) -> list[ModelConfig]:
    """Returns the configurations that the modules of a model carry, outermost first; most models have none."""
    found: dict[int, ModelConfig] = {}
    for root in modules_of(model):
        for module in root.modules():
            # An attribute that a user's module computes may fail.
            config = getattr(module, "__dict__", {}).get("config")
            if config is not None and id(config) not in found and (made := _of(config)) is not None:
                found[id(config)] = made
    return list(found.values())


def _of(config: Any) -> ModelConfig | None:
    given = getattr(config, "id2label", None)
    if not isinstance(given, Mapping) or not given:
        return None
    try:
        names = {int(key): str(name) for key, name in given.items()}
    except (TypeError, ValueError):
        return None
    real = not all(_DEFAULT_NAME.fullmatch(name) for name in names.values())
    kind = _KINDS.get(str(getattr(config, "problem_type", None)))
    if kind is not None:
        scores = kind, f"the model's config says problem_type {config.problem_type!r}"
    elif len(names) == 1:
        # As transformers takes it when it computes a loss.
        scores = RAW, "the model's config has a single label, which is a regression"
    else:
        scores = None
    return ModelConfig(len(names), names if real else None, scores)
