"""Jupyter widgets, and nothing of attribution.

`ValidatedWidget` checks what a front end sends: a trait with the tag `write` may be set, to a value of that form. Work
runs in a `Worker` or as one of the named `Tasks`, beside the session; both stop before Python ends. `RateLimit` keeps
replies to a flood of messages few, and `heartbeat` tells front ends that a long pass is under way. `DisplayedWidget`
puts a picture beside the live widget into a notebook, for readers without a kernel.
"""
