"""The engine: Faust made exactly-once, at batch speed.

A poll of the consumer is one cycle: its records, grouped by topic and partition,
are decided by the agents, and everything they cause is committed in one
transaction together with the source offsets.  State is written after the commit
only, so RocksDB never holds what the log does not.

    kip447        offsets fenced by the generation, with its messages beside it
    transactions  one transactional producer, one transaction a cycle
    cycles        cycle, frame (a topic's part) and share (a partition's part)
    store         RocksDB of one partition of one table
    takeover      what is done before the first poll after a rebalance
    ledger        the committer of the ledger's workers: all of the above
    consumer      Faust's consumer, handing agents frames instead of events
    rebalancing   Faust's table manager, taking over instead of recovering
    app           the Faust app put together from these
"""
