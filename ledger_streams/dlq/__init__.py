"""Dead-letter queue: letters read for people, and redrive to their topic."""
