-- KEYS[1] cb:<provider>; ARGV: time to live in ms.
-- Resets the failures; returns 1 when it closed the breaker.  A success while it is open is of a call made before.
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'OPEN' then
    return 0
end
redis.call('HSET', KEYS[1], 'state', 'CLOSED', 'failures', 0)
redis.call('HDEL', KEYS[1], 'since')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return state == 'HALF_OPEN' and 1 or 0
