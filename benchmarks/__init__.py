"""Benchmarks and the rendered performers that they are measured on."""
