-- KEYS[1] wallet:<id>; ARGV: version, the wallet as JSON, time to live in ms, its epoch.
-- Stores the wallet unless a newer version is stored; returns 1 when it did.
-- At equal versions an entry of the server's epoch stays; readers ignore one of an earlier epoch.
local cached = redis.call('GET', KEYS[1])
if cached then
    local readable, wallet = pcall(cjson.decode, cached)
    if readable and wallet.version > tonumber(ARGV[1]) then
        return 0
    end
    if readable and wallet.version == tonumber(ARGV[1]) and wallet.epoch and wallet.epoch ~= ARGV[4] then
        local now = redis.call('INFO', 'replication')
        if wallet.epoch ~= '' and string.find(now, 'master_replid:' .. wallet.epoch, 1, true) then
            redis.call('PEXPIRE', KEYS[1], ARGV[3])
            return 0
        end
    end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
