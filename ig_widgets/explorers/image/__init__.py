"""ImageExplorer, and what pictures alone need."""
