"""Bootstrap: the Faust apps and their connections, made at start."""
