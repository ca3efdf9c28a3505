"""Pretrained language models on your own CPUs, and cited answers from your own documents."""

__version__ = "0.1.0"
