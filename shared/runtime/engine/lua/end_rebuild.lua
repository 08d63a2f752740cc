-- Sets sequence, schemas and marker and releases the leases, for whoever makes the state again.
--
-- KEYS: who makes it, the lease they do it by, marker, sequence, the relay's lease, schemas.
-- ARGV: holder, marker, sequence, schemas ('' = all at 1).
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[4], ARGV[3])
redis.call('DEL', KEYS[6])
if ARGV[4] ~= '' then redis.call('SET', KEYS[6], ARGV[4]) end
redis.call('SET', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[1], KEYS[2])
if redis.call('GET', KEYS[5]) == ARGV[1] then redis.call('DEL', KEYS[5]) end
return 1
