"""A toy on the real engine: adds numbers, exactly once, and can be made to fail at the worst moments."""
