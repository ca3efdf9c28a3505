"""The HTTP server: the API that OpenAI's clients speak, on our engine, for many users at once."""
