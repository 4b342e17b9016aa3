"""Importer: reads bank transactions or payments from a file and sends them as payments."""
