"""Ways to measure a network, one file each; every number carries the name of its protocol.

Human3.6M is measured in two ways that cannot be compared with each other; see docs/training.md.
"""
