"""Tables: the repository of one table each; one agent writes it."""
