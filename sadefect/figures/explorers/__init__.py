"""Pictures that a reader moves, with a slider."""
