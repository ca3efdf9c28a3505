"""Tests that need the sanitizer build: `make sanitize`."""
