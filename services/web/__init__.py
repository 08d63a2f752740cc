"""web: one origin for browsers, which signs in, serves the phone app and the board, and passes requests on.

owns      sessions, in Redis; no topic
consumes  nothing
emits     nothing
never     decides anything; passes a cookie to a service, or a token to a browser; serves another origin
"""
