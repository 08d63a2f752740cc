"""The page behind a letter about safety: what the letter says, and one button to say that it was seen."""

from __future__ import annotations

from services.notifier.safety.seen import Shown
from shared.runtime.http.pages import Pages

_SEEN = """{% if seen_at %}<p class="standing" role="status">{{ say("seen.said", when=seen_at) }}</p>
{% endif %}<p>{{ say("seen.look") }}</p>
{% for block in blocks %}{% if block.KIND == "card" %}<div class="card"><dl>
{% for label, value in block.rows %}<dt>{{ label }}</dt><dd>{{ value }}</dd>
{% endfor %}</dl></div>
{% elif block.KIND == "link" and not seen_at %}<form method="post" action="/s/{{ token }}">
<button class="yes">{{ block.button }}</button></form>
{% endif %}{% endfor %}"""


class SeenPage:
    """The page in each language."""

    def __init__(self) -> None:
        self._pages = Pages(seen=_SEEN)

    def show(self, shown: Shown, token: str) -> str:
        """The page, with the button until somebody has said that they saw it."""
        return self._pages.render(
            "seen",
            shown.language,
            shown.letter.subject,
            site_name=shown.site_name,
            token=token,
            blocks=shown.letter.blocks,
            seen_at=shown.seen_at,
        )
