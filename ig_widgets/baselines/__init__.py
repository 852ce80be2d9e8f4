"""What "absence" looks like: where the path to a picture starts.

Each is a small frozen object, called with pictures (batch, channels, height, width) in which 0 is black and 1 is
white, and returns pictures of that shape. The explorers translate between pictures and a model's normalised input.
"""

from ig_widgets.baselines.blur import blur
from ig_widgets.baselines.constant import black, constant, mean_grey, white
from ig_widgets.baselines.noise import uniform

__all__ = ["black", "blur", "constant", "mean_grey", "uniform", "white"]
