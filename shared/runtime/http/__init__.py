"""Requests in: who asks, what is refused, how an answer looks; the server and its bounds."""
