"""A TCP proxy before a server of this machine, by which tests cut connections or lead them elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """One address before the server at the port `leads_to`, which counts for connections to come."""

    def __init__(self, leads_to: int) -> None:
        self.leads_to = leads_to
        self._heard: list[bytearray] = []
        self._cut: list[bytearray] = []
        self._pumps: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Serve for a `with` block, at the port that it gives."""
        listening = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield listening.sockets[0].getsockname()[1]
        finally:
            listening.close()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)
            # A server that stands still takes nothing, and a close would wait for it for ever.
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.sleep(0)  # the loop closes what was aborted in its next turn

    def cut(self, word: bytes) -> None:
        """Pass nothing on any more where a word was sent; the connections stay open at this end."""
        self._cut = [heard for heard in self._heard if word in heard]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.leads_to)
        except OSError:  # the server is away
            writer.close()
            return
        heard = bytearray()
        self._heard.append(heard)
        self._writers += (writer, to_writer)
        for one, other in ((reader, to_writer), (to_reader, writer)):
            self._pumps.append(asyncio.create_task(self._pump(one, other, heard)))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray
    ) -> None:
        try:
            with suppress(OSError):  # the server was killed
                while data := await reader.read(65536):
                    heard += data
                    if not any(heard is one for one in self._cut):
                        writer.write(data)
        finally:
            writer.close()
