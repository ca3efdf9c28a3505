"""What the native engine is tested against: tiny random model files, and transformers in plain numpy."""
