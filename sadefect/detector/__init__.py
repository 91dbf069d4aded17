"""Your own images: a detector, and what surrounds it."""
