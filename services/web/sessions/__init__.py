"""Who is signed in: by OpenID Connect, in a session that a cookie names."""
