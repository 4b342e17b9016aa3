"""Importer: bank transactions and payments read from a file and sent as payments."""
