"""Testing: in-memory twins of the ports, with the same contract as the real adapters."""
