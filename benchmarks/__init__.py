"""Ratios of two things measured in one run; not tests. `make bench` runs all of them."""
