"""Wire: bytes to values and back, one module a topic; the rest of the system imports from here.

Reading raises Unreadable and nothing else; writing cannot fail.  Neither reads a clock:
a derived record bears the append time of the record that caused it, and derived ids.
"""

from ledger_streams.wire.document_parts import DEPTH_MAX, check_text, storable_text
from ledger_streams.wire.documents import (
    DATA_BYTES_MAX,
    RECORD_BYTES_MAX,
    NotJson,
    RepeatedKey,
    check_sendable,
    read_document,
    read_object,
)
from ledger_streams.wire.envelope import (
    SCHEMA_VERSION,
    Envelope,
    decode_envelope,
    decode_stored,
    encode_envelope,
    parse_time,
    time_ms,
    time_text,
)
from ledger_streams.wire.hold_commands import encode_expiry
from ledger_streams.wire.payment_events import encode_payment_request, read_payment_event
from ledger_streams.wire.payment_outcomes import OutcomeRecord, encode_payment_outcome, read_payment_outcome
from ledger_streams.wire.provider_requests import (
    OrderRecord,
    encode_order,
    idempotency_key,
    read_order,
)
from ledger_streams.wire.saga_commands import (
    SagaCommandRecord,
    encode_saga_command,
    encode_settlement,
    read_saga_command,
    settlement_reason,
)
from ledger_streams.wire.saga_events import (
    SagaRecord,
    encode_saga_event,
    read_saga_event,
    saga_event_id,
    write_saga_event,
)
from ledger_streams.wire.states import (
    decode_known_payment,
    decode_saga_state,
    decode_wallet_state,
    encode_known_payment,
    encode_saga_state,
    encode_wallet_state,
)
from ledger_streams.wire.wallet_commands import (
    CommandRecord,
    checked_limits,
    checked_open,
    checked_reason,
    command_id,
    encode_administrative,
    encode_command,
    read_wallet_command,
    write_command,
)
from ledger_streams.wire.wallet_events import (
    WalletRecord,
    encode_wallet_event,
    read_wallet,
    read_wallet_event,
    wallet_event_id,
)
from ledger_streams.wire.wallet_objects import BalanceObject, WalletObject, wallet_object

__all__ = [
    "DATA_BYTES_MAX",
    "DEPTH_MAX",
    "RECORD_BYTES_MAX",
    "SCHEMA_VERSION",
    "BalanceObject",
    "CommandRecord",
    "Envelope",
    "NotJson",
    "OrderRecord",
    "OutcomeRecord",
    "RepeatedKey",
    "SagaCommandRecord",
    "SagaRecord",
    "WalletObject",
    "WalletRecord",
    "check_sendable",
    "check_text",
    "checked_limits",
    "checked_open",
    "checked_reason",
    "command_id",
    "decode_envelope",
    "decode_known_payment",
    "decode_saga_state",
    "decode_stored",
    "decode_wallet_state",
    "encode_administrative",
    "encode_command",
    "encode_envelope",
    "encode_expiry",
    "encode_known_payment",
    "encode_order",
    "encode_payment_outcome",
    "encode_payment_request",
    "encode_saga_command",
    "encode_saga_event",
    "encode_saga_state",
    "encode_settlement",
    "encode_wallet_event",
    "encode_wallet_state",
    "idempotency_key",
    "parse_time",
    "read_document",
    "read_object",
    "read_order",
    "read_payment_event",
    "read_payment_outcome",
    "read_saga_command",
    "read_saga_event",
    "read_wallet",
    "read_wallet_command",
    "read_wallet_event",
    "saga_event_id",
    "settlement_reason",
    "storable_text",
    "time_ms",
    "time_text",
    "wallet_event_id",
    "wallet_object",
    "write_command",
    "write_saga_event",
]
