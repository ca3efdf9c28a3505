"""Where documents, chunks, words and vectors are kept."""
