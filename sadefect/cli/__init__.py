"""The verbs of the shell."""
