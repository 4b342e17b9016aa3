"""Kafka: clients, requests and transactions, with every use of aiokafka's private parts in this package."""
