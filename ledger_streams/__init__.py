"""ledger-streams: a payment and wallet system as streams, on Faust.

    POST web/payments -> payment-events -> agents/payments -> saga-events
      -> agents/sagas -> wallet-commands -> agents/wallets
      => tables/wallets => wallet-events -> agents/projections
      -> PostgreSQL -> Redis -> GET web/wallets

One file an arrow.  `engine` makes Faust exactly-once, `domain` decides, `wire` is
what the topics carry, `adapters` reach everything else.
"""
