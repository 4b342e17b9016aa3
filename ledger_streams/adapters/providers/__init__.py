"""Providers: payment providers over HTTP."""
