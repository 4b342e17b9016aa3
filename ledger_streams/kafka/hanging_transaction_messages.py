"""The three requests that find and end a forgotten transaction on the wire: KIP-664, and the broker's own.

Field by field as in Kafka's message definitions (DescribeTransactionsRequest.json,
DescribeProducersRequest.json, WriteTxnMarkersRequest.json); each is a flexible version, so each
struct ends in tags.
"""

from __future__ import annotations

from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

PARTITIONS = (
    "topics",
    CompactArray(
        ("topic", CompactString("utf-8")),
        ("partitions", CompactArray(Int32)),
        ("tags", TaggedFields),
    ),
)


class DescribeTransactionsResponseV0(Response):
    """State of transactional ids, as their coordinator knows it."""

    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "states",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", CompactString("utf-8")),
                ("state", CompactString("utf-8")),
                ("timeout_ms", Int32),
                ("start_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                PARTITIONS,
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class DescribeTransactionsRequestV0(RequestStruct):
    """Asks the coordinator of transactional ids."""

    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = DescribeTransactionsResponseV0
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(("transactional_ids", CompactArray(CompactString("utf-8"))), ("tags", TaggedFields))


class DescribeProducersResponseV0(Response):
    """Active producers of partitions; first offset -1 means that the producer has no open transaction."""

    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error_message", CompactString("utf-8")),
                        (
                            "producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_ms", Int64),
                                ("coordinator_epoch", Int32),
                                ("first_offset", Int64),
                                ("tags", TaggedFields),
                            ),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class DescribeProducersRequestV0(RequestStruct):
    """Asks the leader of partitions."""

    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = DescribeProducersResponseV0
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(PARTITIONS, ("tags", TaggedFields))


class WriteTxnMarkersResponseV1(Response):
    """Error codes by producer, topic and partition."""

    API_KEY = 27
    API_VERSION = 1
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                (
                    "topics",
                    CompactArray(
                        ("topic", CompactString("utf-8")),
                        (
                            "partitions",
                            CompactArray(("partition", Int32), ("error_code", Int16), ("tags", TaggedFields)),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class WriteTxnMarkersRequestV1(RequestStruct):
    """Ends transactions in partitions, of which the broker asked is the leader."""

    API_KEY = 27
    API_VERSION = 1
    RESPONSE_TYPE = WriteTxnMarkersResponseV1
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("is_committed", Boolean),
                PARTITIONS,
                ("coordinator_epoch", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class DescribeTransactions(Request[DescribeTransactionsRequestV0]):
    """Builds the one version that is spoken here."""

    API_KEY = 65

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(
        self, request_struct_class: type[DescribeTransactionsRequestV0]
    ) -> DescribeTransactionsRequestV0:
        """Return the request of the negotiated version."""
        return request_struct_class(*self._fields)


class DescribeProducers(Request[DescribeProducersRequestV0]):
    """Builds the one version that is spoken here."""

    API_KEY = 61

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[DescribeProducersRequestV0]) -> DescribeProducersRequestV0:
        """Return the request of the negotiated version."""
        return request_struct_class(*self._fields)


class WriteTxnMarkers(Request[WriteTxnMarkersRequestV1]):
    """Builds the one version that is spoken here."""

    API_KEY = 27

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[WriteTxnMarkersRequestV1]) -> WriteTxnMarkersRequestV1:
        """Return the request of the negotiated version."""
        return request_struct_class(*self._fields)
