"""Real models, freshly made and small: at least 80 of 35 families."""

from __future__ import annotations

from tests.engine.zoo.graph import GRAPH
from tests.engine.zoo.hugging_face import HUGGING_FACE
from tests.engine.zoo.layered import LAYERED
from tests.engine.zoo.series import SERIES
from tests.engine.zoo.tabular import TABULAR
from tests.engine.zoo.text import TEXT
from tests.engine.zoo.vision import VISION

_REGISTERS = (VISION, TEXT, HUGGING_FACE, SERIES, TABULAR, GRAPH, LAYERED)
MODELS = tuple(one for register in _REGISTERS for one in register.subjects)
