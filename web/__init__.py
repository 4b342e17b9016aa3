"""HTTP API: Faust web views that turn requests into Kafka records and projections into responses.

    request -> middleware -> view -> payloads -> Publisher -> Kafka
                                  -> ReadModel | BalanceCache -> response

The API makes no decision about money; the payments and wallets agents do.  A 2xx for a
write means that all in-sync replicas have acknowledged the record.  Every error response
is a problem (RFC 9457), also for requests that reach no view.
"""
