"""What explorers show beside the map, one file a panel; `js/src/panels` has the same names.

Each file has a `Panel`, the logic, which is given a `Host` and knows no widget, and a mixin of `Explorer`, which
declares the panel's traits and public methods. A kind of explorer has the panels that its `panel_types` list.
"""
