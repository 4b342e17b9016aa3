"""The engine: Faust made exactly-once, at batch speed.

One poll of the consumer starts one cycle.  The polled records are grouped by topic and partition and
decided by the agents; everything they cause is committed in one Kafka transaction together with the source
offsets.  RocksDB is written after the commit only, so it never holds what the log does not.

The modules, in the order in which a record meets them:

    app                   the Faust app, put together from the parts below
    worker                the protocols by which these parts know the app
    consumer_thread       the thread around aiokafka's consumer; back-pressure
    consumer              Faust's consumer: polls, makes cycles, sees each one through
    consumer_positions    how far each partition has been read, transaction markers included
    loopback              own records, carried out before they are read back
    batches               cycle, topic batch and partition batch; topics to send to
    dead_letters          parking of records that cannot be carried out
    dlq_limit             the limit of dead letters in a row, counted in the offset metadata
    committer             the protocol of the two committers
    ledger_committer      a cycle into Kafka, then into RocksDB
    projection_committer  a cycle into PostgreSQL, then into Redis
    projection_batch      a partition batch with the rows that its records become
    projection_parking    records that cannot be projected, parked in PostgreSQL
    cache_upkeep          the wallets of committed cycles, put into Redis
    faust_tables          Faust's table manager: takes partitions over after a rebalance
    state.takeover        source offsets and tables, made current before the first poll
    state.takeover_progress  the phase of a takeover, for logs, health and metrics
    state.restore         records of a changelog, applied to a store
    state.standby         stores of partitions that other workers own, kept nearly current
    state.store           RocksDB of one partition of one table
    state.timers          the timers of one store, ordered by time
    state.changelogs      the changelog records of a cycle, with the source offsets in their headers
    state.source_offset_log  source offsets of agents without a table, in a compacted topic
    state.log_generation  the name of a log that was filled anew after a loss
    periodic_job          jobs that an app runs beside its agents

Words of this engine, and the literature's:

    cycle             one poll and everything committed with it; a micro-batch, one epoch of an epoch commit
    round             a step of a cycle: polled records first, then own records from the loopback queue;
                      an iteration within one transaction
    topic batch       the part of a round that one agent decides at once
    partition batch   the part of a topic batch from one partition, in the order of its offsets
    loopback          records that a worker writes to partitions of its own and carries out before the
                      consumer reads them back; operator chaining, local forwarding
    takeover          everything between an assignment and the first poll: fencing the last owner, reading
                      stable offsets, restoring tables; state restoration (Kafka Streams)
    standby           a store that follows its changelog on a worker that does not own the partition;
                      a standby replica
    source offset     the offset of the next record of a source partition to be carried out
    source offset log a compacted topic with the source offsets of agents without a table; an offset
                      checkpoint topic
    log generation    the name of a log that was rebuilt after a loss; a topic id (KIP-516) in user space
    timer             a time at which a state has to be looked at; an event-time timer (Flink)
    fence             to make the broker refuse a stale owner: producer epochs (KIP-98) and the group's
                      generation (KIP-447)
"""
