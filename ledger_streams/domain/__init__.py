"""The domain: money, payments, wallets and sagas as pure values and functions.

Nothing here reads a clock, draws a random number or does I/O.  Each aggregate is a pair of pure
functions: `decide` returns the events that a command or event causes, `evolve` the state after an
event.

Glossary (our term: meaning; the literature's term):

wallet         money of one user in one or more currencies; an account
payment        one request to move money once, named by its payment_id; an order, a transaction
saga           the state of one payment on its way through its steps; a process manager
course         the steps that a kind of payment takes; a route, a workflow
step, leg      a command to a wallet and the awaited reply; a local transaction of a saga
compensate     give back the money of an earlier step after a later one was refused; never an undo
refuse         a wallet declines a command: an event, with a reason; a business rejection
reject         the API declines a request: a response 4xx, nothing is written; a validation error
park           put a record that cannot be processed aside: to the dead letters, or in PostgreSQL
posting        one leg of an event that moves money; the legs of one event sum to zero; an entry
counterparty   the counter-account of a wallet's leg: `transit` (between two wallets) or `external`
external       the outside world's counter-account of a currency; it has postings, no wallet-events
available      the amount that a wallet may spend, without the overdraft; negative down to its limit
held           the amount that holds set aside (hold / capture / release); reserved, authorised
balance        available + held; the ledger balance
overdraft      how far below zero `available` may go; part of none of the three above; a credit line
minor          an amount as an integer count of the currency's smallest unit; minor units
occurred_at    the record's append time; event time.  recorded_at: PostgreSQL's; processing time
version        the count of an aggregate's events from 1; a sequence number, never called an offset
fingerprint    a digest of a payment's content, tells a repetition from a mismatch; a request hash
settle         an operator states a provider's outcome by hand; manual resolution
co-partitioned two topics whose partitions of one number belong to one worker
data loader    a queue that coalesces the reads of one turn of the event loop into one query
"""
