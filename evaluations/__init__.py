"""Quality sets with thresholds: retrieval, answers, whole questions over real documents."""
