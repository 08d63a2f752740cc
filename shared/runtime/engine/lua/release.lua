-- Gives a lease back, if it is held by ARGV[1].
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
