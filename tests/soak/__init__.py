"""The soak: nemeses at random on one system, for as long as it is told to."""
