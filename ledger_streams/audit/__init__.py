"""Audit: hash chains verified, days closed, roots published and proofs given."""
