"""Baselines: inputs that stand for "nothing there", where the path of Integrated Gradients starts.

Each is a small frozen object, called with pictures (batch, channels, height, width) in which 0 is black and 1 is
white, and returns pictures of that shape. `describe()` says what it is in few words, `parameters` what a control can
set. The explorers translate between pictures and a model's normalised input; elsewhere `.normalized(mean=, std=)` does,
and a warning tells where something is given that cannot be a picture. What has the `space` "inputs" is given, and
returns, the model's input itself, whatever that is: `zeros`, `token`, `embedding`, `boundary`, `normalized`. `blur` and
`permuted` serve for either.
"""

from ig_widgets.baselines.base import Baseline, Parameter
from ig_widgets.baselines.blur import blur
from ig_widgets.baselines.boundary import BoundaryPoint, boundary
from ig_widgets.baselines.constant import black, constant, mean_grey, white, zeros
from ig_widgets.baselines.data import inputs, mean, samples
from ig_widgets.baselines.noise import gaussian, uniform
from ig_widgets.baselines.normalization import normalized
from ig_widgets.baselines.opposite import max_distance
from ig_widgets.baselines.order import permuted
from ig_widgets.baselines.tokens import embedding, token

__all__ = [
    "Baseline",
    "BoundaryPoint",
    "Parameter",
    "black",
    "blur",
    "boundary",
    "constant",
    "embedding",
    "gaussian",
    "inputs",
    "max_distance",
    "mean",
    "mean_grey",
    "normalized",
    "permuted",
    "samples",
    "token",
    "uniform",
    "white",
    "zeros",
]
