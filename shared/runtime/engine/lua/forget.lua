-- Drops a part of the state, for whoever makes it again.
--
-- KEYS: who makes it, the lease they do it by, then what is dropped. ARGV: holder.
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('UNLINK', unpack(KEYS, 3))
return 1
