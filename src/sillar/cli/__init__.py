"""The command `sillar`: parses arguments, builds objects and calls them."""

from sillar.cli.app import main

__all__ = ["main"]
