"""Files into documents: formats, limits and the child process that reads them."""
