-- KEYS[1] cb:<provider>; ARGV: open time, time to live, both in ms.
-- Returns 1 when a call is allowed.  The first caller after the open time gets the trial; a trial without a result
-- for as long is given to another caller.  A clock that went back counts as an elapsed open time.
local state, since = unpack(redis.call('HMGET', KEYS[1], 'state', 'since'))
if state ~= 'OPEN' and state ~= 'HALF_OPEN' then
    return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local waited = now - tonumber(since or 0)
if waited >= 0 and waited < tonumber(ARGV[1]) then
    return 0
end
redis.call('HSET', KEYS[1], 'state', 'HALF_OPEN', 'since', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
