"""A workload and an auditor that drive first the pure model, then the live system."""
