"""The one HTTP client of this service: to the services and to the issuer."""

from __future__ import annotations

from ssl import SSLContext

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

#: Connections to all services together: as many as browsers may have to us.
CONNECTIONS_MAX = 1_600
#: Below the 75 s that a service keeps a connection, so that none is used that is being closed.
KEPT_S = 30.0
#: A service is near; what does not connect in two seconds is down.
CONNECT_S = 2.0
#: How long a service may be silent. Streams say something every ten seconds.
SILENT_S = 30.0


class Client:
    """Connections that are opened at first use, because that needs the loop; closed at the end."""

    def __init__(self, tls: SSLContext) -> None:
        self._tls = tls
        self._session: ClientSession | None = None

    @property
    def session(self) -> ClientSession:
        """The client: it keeps no cookies, and passes bodies on as they are compressed."""
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(
                    limit=CONNECTIONS_MAX, keepalive_timeout=KEPT_S, ssl=self._tls
                ),
                timeout=ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
