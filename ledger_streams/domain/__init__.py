"""The domain: money, payments, wallets and sagas as pure values and functions.

Nothing here reads a clock, draws a random number or does I/O.  Each aggregate is a pair:
`decide` says what happens when something arrives, `evolve` says what the state is after it.

Glossary (our term: what it means; the literature's word):

wallet       holds money of one user in one or more currencies; an account
payment      one wish to move money once, named by its payment_id; an order, a transaction
saga         the course of one payment through its steps to an end; a process manager
step         a command to a wallet and the awaited reply to it
compensate   give back what an earlier step took, since a later one was refused; never an undo
refuse       a wallet says no to a command: an event, with a reason
reject       the API says no to a caller: an answer 4xx, nothing is written
park         put a record that cannot be carried out to the dead letters
posting      one leg of an event that moves money; the legs of one event sum to zero
counterparty the account opposite to the wallet: `transit` (money between two wallets) or `external`
external     the outside world's counter-account of a currency; it has postings but no wallet-events
available    what a wallet may spend, the overdraft aside; may be negative down to the overdraft limit
held         what is set aside for a capture (hold / capture / release)
balance      available + held
overdraft    how far below zero `available` may go; part of none of the three above
minor        an amount as an integer count of the currency's smallest unit
occurred_at  when it happened, says the record; recorded_at: when PostgreSQL heard of it
version      the count of an aggregate's events from 1; never called an offset
fingerprint  a digest of a payment's content; tells a repetition from another payment of the same id
"""
