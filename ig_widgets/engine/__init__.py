"""Integrated Gradients on PyTorch: tensors in, frozen results out.

`attribution.attribute` checks its arguments (`options`, `requested_rule`) and makes a `Path` from baseline to input;
with `layer=` a path of what the layer gives (`layers`). `sample_setup` evaluates F at both ends and returns
`Samples`, which ask a `Sampler` for F and its gradient at alphas: a chunk of rows at a time (`chunks`), each in a
pass that leaves the model as it was (`model_passes`, `state_guard`). A `Sampler` also takes mean slopes over cells
(`cell_sampler`, `secant`). `runs` samples by a rule of fixed points (`rules`), or to a tolerance (`refinement`):
points where the gradient changes (`adaptive`, `profile`), cells where kinks lie (`cells`), or the points of one rule
(`points`); each estimates the error of the map and says where to sample next. `result` adds the samples up to an
`Attribution`; `trace` keeps them beside it, so that another rule, or a part of the path, costs no pass. `verdict`
says what contradicts the map. Nothing here knows of widgets; only torch and numpy are imported.
"""
