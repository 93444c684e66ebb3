"""Lifting networks, one readable file each."""
