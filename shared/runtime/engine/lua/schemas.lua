-- Records which schema versions the state holds from now on, before the first commit of a build that adds
-- one. A new marker closes the state to every process that opened it before.
--
-- KEYS: marker, schemas. ARGV: expected marker, expected schemas, schemas, marker from now on.
if redis.call('GET', KEYS[1]) ~= ARGV[1] or (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[4])
return 1
