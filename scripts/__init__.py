"""What the Makefile runs besides Sillar itself."""
