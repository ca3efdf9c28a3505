"""Benchmarks of kernels and of whole models, next to their competitors and the machine's own limits."""
