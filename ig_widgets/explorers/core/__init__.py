"""Live attribution of any map: no kind of input is known here, and no panel.

`Explorer` is the widget. Its traits are the `Settings`, which each of its `Panes` answers: a `Pane` runs the newest of
them in a worker thread. A `Run` extends the engine's samples block by block, coarse first. The `Subject` makes a map of
each, which is encoded, kept in a `SampleLog`, and sent by a `Stream` to the views that watch, at most two batches ahead
of what they acknowledge. Plans tell the views how to add the maps up. Paths are kept in a `SampleCache`, so that going
back to one costs nothing. Newer settings cancel an older run in the next layer of the model; its samples are kept.
"""
