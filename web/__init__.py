"""The HTTP API, as Faust web views: it turns requests into records and projections into answers.

    request -> middleware -> view -> payloads -> Publisher -> Kafka
                                  -> ReadModel | BalanceCache -> answer

It decides nothing about money: the payments and wallets agents do.  A 2xx means that
what was asked for is acknowledged by all in-sync replicas, or was read.  Every error
is a problem (RFC 9457), also where no view was reached.
"""
