-- KEYS[1] wallet:<id>; ARGV: version, the wallet as JSON, time to live in ms.
-- Puts the wallet unless a newer version of it is there; 1 when it did.
local cached = redis.call('GET', KEYS[1])
if cached then
    local readable, wallet = pcall(cjson.decode, cached)
    if readable and wallet.version > tonumber(ARGV[1]) then
        return 0
    end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
