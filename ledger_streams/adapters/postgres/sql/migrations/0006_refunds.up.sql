-- How much of a payment has gone back, by all refunds together.
ALTER TABLE payments ADD COLUMN refunded NUMERIC;
