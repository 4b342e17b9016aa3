"""Batches are compressed by the fast compressor; aiokafka has no setting for it, and may change."""

from __future__ import annotations

from aiokafka.codec import lz4_decode, lz4_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from ledger_streams.kafka.lz4 import FAST, compress_fast

LZ4 = 3
"""The codec, as a batch names it."""
HEAD_BYTES = 61
"""Of a record batch, before its records."""
VALUES = [b'{"event_type": "BalanceAdded", "amount": "%d.00"}' % number for number in range(1_000)]


def batch(codec: int) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=1,
        producer_id=1,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 20,
    )
    for offset, value in enumerate(VALUES):
        builder.append(offset, 0, b"key", value, [])
    return bytes(builder.build())


def test_a_batch_is_compressed_at_the_fast_level_and_reads_the_same() -> None:
    compress_fast()
    compress_fast()
    plain = batch(0)[HEAD_BYTES:]
    compressed = batch(LZ4)[HEAD_BYTES:]
    assert compressed == lz4_encode(plain, level=FAST) != lz4_encode(plain)
    assert lz4_decode(compressed) == plain
