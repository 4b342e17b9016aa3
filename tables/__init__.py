"""Tables: a repository each; one agent writes each table.  read_model_rows has the projector's rows."""
