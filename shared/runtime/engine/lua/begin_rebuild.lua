-- Takes the marker away, for the holder of the lease `rebuild` alone.
--
-- KEYS of the scripts of a rebuild begin with: who makes it, the lease they do it by. Then: marker.
-- ARGV: holder.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
return 1
