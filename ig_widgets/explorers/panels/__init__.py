"""What explorers show beside the map, one file a panel; `js/src/panels` has the same names."""
