"""What "absence" looks like: where the path to a picture starts.

Each is a small frozen object, called with pictures (batch, channels, height, width) in which 0 is black and 1 is
white, and returns pictures of that shape. `describe()` says what it is in few words, `parameters` what a control can
set. The explorers translate between pictures and a model's normalised input. `zeros` alone is given, and returns, that
input itself (its `space` is "inputs").
"""

from ig_widgets.baselines.base import Baseline, Parameter
from ig_widgets.baselines.blur import blur
from ig_widgets.baselines.constant import black, constant, mean_grey, white, zeros
from ig_widgets.baselines.given import inputs, mean, samples
from ig_widgets.baselines.noise import gaussian, uniform
from ig_widgets.baselines.opposite import max_distance

__all__ = [
    "Baseline",
    "Parameter",
    "black",
    "blur",
    "constant",
    "gaussian",
    "inputs",
    "max_distance",
    "mean",
    "mean_grey",
    "samples",
    "uniform",
    "white",
    "zeros",
]
