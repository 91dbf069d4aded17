"""Trains a network on patches: one trajectory, checkpointed, resumed exactly (section 4.2).

Its coordinate is how many patches were seen; every state is a function of the settings and that
coordinate: a larger budget continues where a smaller one ended.
"""
