"""Names that vulture finds unused and that are used all the same; each group has its reason.

`make dead-code` reads this file as code.  A name that leaves the code leaves this list too.
"""

# Faust, mode and aiokafka call these methods and read these attributes; ours override them.
_.on_stop
_.on_assignment
_.on_partitions_revoked
_.on_rebalance
_.on_request_error
_.wait_until_recovery_completed
_.verify_event_path
_._new_transport
_._new_consumer_thread
_._create_worker_consumer
_._create_directories
_._settings_auth
_._app_from_str
_._do_txn_offset_commit
_.create_request
_._push_error_to_user
_._request_timeout
_.blueprints
_.abstract
_.producer_only
_.RebalanceListener
generation_id
newly_assigned

# aiokafka encodes requests and responses by these class attributes (one class a message of the protocol).
_.API_KEY
_.API_VERSION
_.RESPONSE_TYPE
_.FLEXIBLE_VERSION
_.build

# click, io and tarfile call or read these.
_.list_commands
_.format_commands
_.readable
_.readinto
_.extraction_filter

# A reference that keeps a running task from being collected.
_._ending

# Fields of structs that are only encoded: JSON, COPY rows, a changelog, a file's manifest.
_.mean_ms
_.total_ms
_.hit_percent
_.table_bytes
_.index_bytes
_.dead_percent
_.vacuumed_at
_.expected
_.recorded_at
_.first_occurred_at
_.last_occurred_at
_.made_at
_.updated_ms
_.deposits
_.withdrawals
_.transfers
_.collected
_.collected_count
_.paid_out
_.paid_out_count
_.database_bytes
_.repository_bytes
_.legs_again
_.results

# A field of a named tuple that is read by position.
_.letters_in_a_row

# Arguments of every app that serves these pages; the apps of tests are made with them.
WEB_SETTINGS

# pydantic reads these: the model's configuration and settings that are passed on by name.
_.model_config
_.kafka_ca
_.kafka_sasl_user
_.kafka_sasl_password
_.kafka_token_client_id
_.kafka_token_client_secret
_.kafka_token_scope

# Members of enums that SQL or the wire names, not Python.
_.PENDING
_.PARTIALLY_REFUNDED
_.REFUNDED

# Twins in memory for the tests of those who embed the package; our own tests use them.
MemoryBalances
MemoryBreakers
MemoryReadModel
_.begin_epoch

# Faust finds its commands by subclasses; faust_apps builds an app when its name is first read.
api
gateway
projector
__getattr__

# The benchmark beside other stream processors runs the wallets agent alone.
wallets_app

# A field of a named tuple that is only read by unpacking.
consecutive_dead_letters
