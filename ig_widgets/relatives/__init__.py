"""Other gradient methods with the signature of `attribute`, each with its paper named.

`f(forward_func, inputs, *, target=None, baselines=None, additional_forward_args=None, forward_kwargs=None,
output=None, ..., layer=None, chunk_size=None, seed=0, on_progress=None, cancel=None)` returns an
`Attribution`. These arguments, and what is raised, are those of `attribute`; what has no part in a method (`baselines`
in a gradient, `seed` where nothing is drawn) changes nothing. With `layer` noise, draws and paths are of what the layer
gives; blurring and regions are of pictures, and refuse it. A convergence delta is there only where completeness is
claimed.
"""

from ig_widgets.relatives.blur import blur_integrated_gradients
from ig_widgets.relatives.deeplift import deeplift
from ig_widgets.relatives.expected import expected_gradients, gradient_shap
from ig_widgets.relatives.gradients import gradient, input_x_gradient, smoothgrad, smoothgrad_squared, vargrad
from ig_widgets.relatives.guided import guided_integrated_gradients
from ig_widgets.relatives.idgi import idgi
from ig_widgets.relatives.over_baselines import OverBaselines, over_baselines
from ig_widgets.relatives.smooth import smooth_integrated_gradients
from ig_widgets.relatives.xrai import RegionAttribution, xrai

__all__ = [
    "OverBaselines",
    "RegionAttribution",
    "blur_integrated_gradients",
    "deeplift",
    "expected_gradients",
    "gradient",
    "gradient_shap",
    "guided_integrated_gradients",
    "idgi",
    "input_x_gradient",
    "over_baselines",
    "smooth_integrated_gradients",
    "smoothgrad",
    "smoothgrad_squared",
    "vargrad",
    "xrai",
]
