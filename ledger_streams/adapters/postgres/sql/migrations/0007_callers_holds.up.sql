-- Whoever asks for a hold again is told of the first; payments do not pay for this index.
CREATE INDEX wallet_events_hold ON wallet_events (wallet_id, (event_data ->> 'hold_id'))
 WHERE event_type = 'FundsHeld' AND payment_id IS NULL;
