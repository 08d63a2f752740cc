"""A promised time is over: was the promise kept?"""

from __future__ import annotations

from datetime import UTC, datetime

from services.complaints.lifecycle.rules import OVERDUE, Complaint
from services.complaints.matters.handlers import kept
from services.complaints.promises.news import News
from services.complaints.promises.rules import KeptAt, Warned, break_promise, warn
from shared.kernel import Decision
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.observe import PROMISES_BROKEN


class Promises:
    """Looks at each promise when its time is over."""

    def __init__(self, settler: Settler, news: News) -> None:
        self._settler = settler
        self._news = news

    async def near(self, promise_id: str, view: View) -> Decision:
        """A promised time is near: a fact if nothing that is known by now keeps it; raises Unavailable.

        A check that was given a moment ago may still be under way here; somebody is warned then for nothing.
        """
        complaint_id, _, number = promise_id.rpartition("/")
        await view.prefetch([one.key(complaint_id) for one in (Complaint, KeptAt, Warned)])
        complaint = await view.get(Complaint, complaint_id)
        if complaint is None:
            return Decision()
        kept_at = await view.get(KeptAt, complaint_id)
        warned = await view.get(Warned, complaint_id)
        merged = await kept(complaint.merged_ids, view, safety=complaint.safety)
        return warn(complaint, complaint_id, int(number), kept_at, merged, warned, view.now)

    async def passed(self, promise_id: str, due_ms: int) -> None:
        """A promised time is over: a fact if the customer was neither given nor offered anything.

        A check that was given in time may arrive here much later after an outage. So this raises
        Unavailable until all facts up to the promised time have been read.
        """
        complaint_id, _, number = promise_id.rpartition("/")

        async def decide(view: View) -> Decision:
            await view.prefetch([Complaint.key(complaint_id), KeptAt.key(complaint_id)])
            complaint = await view.get(Complaint, complaint_id)
            kept_at = await view.get(KeptAt, complaint_id)
            if complaint is None:
                return Decision()
            merged = await kept(complaint.merged_ids, view, safety=complaint.safety)
            return break_promise(complaint, complaint_id, int(number), kept_at, view.now, merged)

        if (await decide(self._settler.view())).facts:
            await self._news.read_until(datetime.fromtimestamp(due_ms / 1000, UTC))
        for _ in await self._settler.settle_timer(
            OVERDUE, promise_id, due_ms, decide, about=complaint_id
        ):
            PROMISES_BROKEN.inc()
