"""Payments over HTTP: requests, batches, holds, refunds and lists."""
