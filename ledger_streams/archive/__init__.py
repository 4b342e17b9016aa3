"""Archive: months of the event store in files, verified before they are dropped."""
