"""Wallets over HTTP: commands, balances and statements."""
