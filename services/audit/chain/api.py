"""The HTTP face of the chains: heads are signed on demand."""

from __future__ import annotations

from services.audit.chain.handlers import Chains
from shared.contracts.audit import HeadsSigned
from shared.kernel import Decision
from shared.runtime.http.auth import Kind
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes

#: Who relies on the record.
READERS = (Kind.MANAGER,)


def routes(face: Face, chains: Chains) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.write(
        "POST",
        "/v1/heads",
        READERS,
        {201: HeadsSigned},
        examples={
            201: {
                "key_id": "9f86d081884c7d65",
                "signature": "A" * 86,
                "statement": {
                    "heads": [
                        {
                            "chain": "recovery.compensation.v1/2",
                            "hash": "a" * 64,
                            "number": 4711,
                            "offset": 4718,
                        }
                    ],
                    "number": 17,
                    "previous": "b" * 64,
                    "signed_at": "2026-06-03T14:10:00Z",
                },
            }
        },
    )
    async def sign_heads(ask: Ask) -> Decision:
        """Sign the heads of all chains now; what was recorded before cannot be changed unnoticed then."""
        return await chains.signed(ask.view)

    return to
