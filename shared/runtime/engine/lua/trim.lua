#!lua flags=allow-oom
-- Drops outbox lines up to a sequence and announces it, for the holder of the relay's lease alone.
-- `allow-oom`: a server at `maxmemory` refuses a script that writes, also one that makes room.
--
-- KEYS: outbox, sequence, the relay's lease. ARGV: holder, sequence, channel.
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
local first = tonumber(redis.call('GET', KEYS[2]) or '0') - redis.call('LLEN', KEYS[1])
local drop = tonumber(ARGV[2]) - first
if drop > 0 then redis.call('LTRIM', KEYS[1], drop, -1) end
redis.call('PUBLISH', ARGV[3], ARGV[2])
return 1
