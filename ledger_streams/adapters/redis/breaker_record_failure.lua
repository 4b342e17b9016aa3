-- KEYS[1] cb:<provider>; ARGV: failures in a row that open it, time to live in ms.
-- Counts a failure; returns 1 when it opened the breaker.  A failure while it is open does not prolong the open time.
local state = redis.call('HGET', KEYS[1], 'state')
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], 'state', state or 'CLOSED', 'last_failure', now)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if state == 'HALF_OPEN' or (state ~= 'OPEN' and failures >= tonumber(ARGV[1])) then
    redis.call('HSET', KEYS[1], 'state', 'OPEN', 'since', now)
    return 1
end
return 0
