#!lua flags=allow-oom
-- Takes or prolongs a lease.
-- `allow-oom`: without its lease the relay could not drain the outbox, which is what makes room.
--
-- KEYS: the lease, who makes the state again (the lease itself for that one, which is not bound).
-- ARGV: holder, time to live in ms.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
local rebuilder = KEYS[2] ~= KEYS[1] and redis.call('GET', KEYS[2])
if rebuilder and rebuilder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
