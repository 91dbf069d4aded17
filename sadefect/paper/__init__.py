"""The paper: its numbers, its experiments, its claims."""
