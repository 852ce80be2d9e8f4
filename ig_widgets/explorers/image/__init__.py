"""ImageExplorer, and what pictures alone need: their forms, baselines, regions and uploads."""
