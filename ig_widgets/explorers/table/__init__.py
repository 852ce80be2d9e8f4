"""TableExplorer, and what rows of tables alone need."""
