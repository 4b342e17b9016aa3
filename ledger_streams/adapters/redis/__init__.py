"""Redis: the cache of wallets, circuit breakers and claims on payment ids."""
