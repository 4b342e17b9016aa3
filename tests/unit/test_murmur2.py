"""Partitions are those that Kafka's own clients would choose."""

from __future__ import annotations

from aiokafka.partitioner import murmur2 as byte_by_byte
from hypothesis import given
from hypothesis import strategies as st

from ledger_streams.kafka.murmur2 import murmur2


@given(st.binary(max_size=80))
def test_murmur2_equals_the_hash_of_the_clients(key: bytes) -> None:
    assert murmur2(key) == byte_by_byte(key)


def test_murmur2_equals_kafka_s_own_examples() -> None:
    """Source: org.apache.kafka.common.utils.UtilsTest.testMurmur2."""
    examples = {
        b"21": -973932308,
        b"foobar": -790332482,
        b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        b"abc": 479470107,
    }
    assert {key: murmur2(key) for key in examples} == {key: h & 0xFFFFFFFF for key, h in examples.items()}
