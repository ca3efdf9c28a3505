"""Small frozen settings, read from TOML and the environment. An unknown key is an error."""
