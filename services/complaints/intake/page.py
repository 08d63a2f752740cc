"""The open form on which a customer says what happened, and the page that thanks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.complaints import Category, Language
from shared.contracts.intake import TEXT_MAX
from shared.contracts.names import plain
from shared.contracts.policy import Policy
from shared.runtime.http.pages import Fault, Pages
from shared.runtime.words import capitalised, category_title, in_language, say

_CHIPS = """<fieldset class="chips" id="{name}"><legend>{{{{ say("{said}") }}}}</legend><div>
{{% for value, title in {name} %}}<label><input type="radio" name="{name}" value="{{{{ value }}}}"{{% if value == form.{name} %}} checked{{% endif %}}><span>{{{{ title }}}}</span></label>
{{% endfor %}}</div></fieldset>"""
_FORM = f"""<nav class="languages" aria-label="{{{{ say("form.languages") }}}}">
{{% for one, name in languages %}}<a href="?language={{{{ one }}}}" lang="{{{{ one }}}}" hreflang="{{{{ one }}}}"{{% if one == language %}} aria-current="true"{{% endif %}}>{{{{ name }}}}</a>
{{% endfor %}}</nav>
<p>{{{{ say("form.intro") }}}}</p>
<p>{{{{ say("form.danger") }}}}</p>
{{% if where %}}<dl><dt>{{{{ say("form.where") }}}}</dt><dd><bdi>{{{{ where }}}}</bdi></dd></dl>
{{% endif %}}<form method="post"><input type="hidden" name="once" value="{{{{ once }}}}">
<label for="text">{{{{ say("form.text") }}}}</label>
<textarea id="text" name="text" rows="6" maxlength="{TEXT_MAX}" dir="auto" required{{{{ amiss("text") }}}}>
{{{{ form.text }}}}</textarea>
{_CHIPS.format(name="about", said="form.about")}
{{% if place %}}{_CHIPS.format(name="place", said="form.place")}
{{% endif %}}<label for="contact">{{{{ contact }}}}</label>
<p id="contact-why">{{{{ contact_why }}}}</p>
<input id="contact" name="contact" maxlength="254" autocomplete="{{{{ autocomplete }}}}" value="{{{{ form.contact }}}}"{{{{ amiss("contact") or ' aria-describedby="contact-why"'|safe }}}}>
<button class="yes">{{{{ say("form.send") }}}}</button></form>
"""
_THANKS = """{% if promised_by %}<p class="standing" role="status">{{ say("mine.by", when=promised_by) }}</p>
{% endif %}{% if incident %}<p>{{ say("letter.incident.short") }}</p>
<blockquote>{{ incident }}</blockquote>
{% endif %}{% if not reachable %}<p>{{ say("form.thanks.unreachable") }}</p>
{% endif %}<p><a href="/m/{{ token }}">{{ say("form.thanks.follow") }}</a></p>
<p>{{ say("mine.help", reference=reference) }}</p>
"""


_PRAISED = """<p class="standing" role="status">{{ say("form.praised.passed_on") }}</p>
"""
#: What the form's chip of praise sends, where the others send a category.
PRAISE = "praise"


class ComplaintForm(BaseModel):
    """What somebody says happened; a field that was left out is empty."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["once", "text"],
            "examples": [
                {
                    "once": "kZ2v6rQ1xY8bN4mT0cLwEg",
                    "text": "The soup was cold, twice.",
                    "about": "food",
                    "place": "sky-bar",
                    "contact": "kari@example.org",
                }
            ],
        }
    )

    once: Annotated[
        str,
        Field(
            description="Names the form, as its page has it: what is sent twice is one complaint.",
            json_schema_extra={"pattern": "^[A-Za-z0-9_-]{22}$"},
        ),
    ] = ""
    text: Annotated[
        str,
        Field(
            description="What happened, in the words of who says it.",
            json_schema_extra={"minLength": 1, "maxLength": TEXT_MAX},
        ),
    ] = ""
    about: Annotated[
        str,
        Field(
            description="What it is about, `praise` for praise; empty if nothing was chosen.",
            json_schema_extra={"enum": ["", *Category, PRAISE]},
        ),
    ] = ""
    place: Annotated[
        str,
        Field(
            description="Where at the site, by its id in the policy; empty if nothing was chosen, or the link names it.",
            json_schema_extra={"maxLength": 64},
        ),
    ] = ""
    contact: Annotated[
        str,
        Field(
            description="A mail address or a telephone number; empty for none.",
            json_schema_extra={"maxLength": 254},
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """Which form was opened: of a site, in a language, about the place that its link names or about none."""

    policy: Policy
    language: Language
    #: The customer chose the language on the page.
    chosen: bool = False
    link_place: str = ""

    def place(self, form: ComplaintForm) -> str | None:
        """What people at the site call the place that the link or the form names; None for none."""
        names = self.policy.places.get(self.link_place or form.place)
        if names is not None:
            return capitalised(in_language(names, self.policy.languages[0]))
        return plain(self.link_place) or None

    @property
    def reached_by(self) -> str:
        """By what the site writes to customers: `email`, `sms` or `both`."""
        first, *others = self.policy.notify.channels
        return "both" if others else first.value

    @property
    def counted_place(self) -> str:
        """What the form counts for. Places that the policy does not name are one, because anybody can make up more."""
        site, place = self.policy.site, self.link_place
        return f"{site}/{place}" if not place or place in self.policy.places else f"{site}//"

    @property
    def where(self) -> str:
        """The place of the link as the customer reads it; empty for none."""
        names = self.policy.places.get(self.link_place)
        if names is None:
            return plain(self.link_place)
        return capitalised(in_language(names, self.language))


class FormPage:
    """The pages in each language."""

    def __init__(self) -> None:
        self._pages = Pages(form=_FORM, thanks=_THANKS, praised=_PRAISED)

    def form(
        self, opened: Opened, form: ComplaintForm, once: str, faults: Sequence[Fault] = ()
    ) -> str:
        """The form with what was written in it before, and what is wrong with that on top.

        `once` names the request, so that the same form sent twice is one complaint.
        """
        language, places = opened.language, {} if opened.where else opened.policy.places
        return self._pages.render(
            "form",
            language,
            say(language, "form.title"),
            site_name=opened.policy.site_name,
            faults=faults,
            form=form,
            once=once,
            languages=[(one, say(one, "language")) for one in Language],
            where=opened.where,
            contact=say(language, f"form.contact.{opened.reached_by}"),
            contact_why=say(language, f"form.contact_why.{opened.reached_by}"),
            autocomplete="tel" if opened.reached_by == "sms" else "email",
            about=[
                *((one.value, category_title(one, language)) for one in Category),
                (PRAISE, say(language, "form.praise")),
            ],
            place=[
                (name, capitalised(in_language(title, language))) for name, title in places.items()
            ],
        )

    def praised(self, language: Language, site_name: str) -> str:
        """Thanks for praise, and that those whom it is for read it."""
        title = say(language, "form.praised.title")
        return self._pages.render("praised", language, title, site_name=site_name)

    def thanks(
        self,
        language: Language,
        token: str,
        *,
        site_name: str,
        reference: str,
        promised_by: str,
        reachable: bool,
        incident: str,
    ) -> str:
        """Thanks, by when the customer hears from us (empty if that is over), and the link to their page.

        With what the site says of an `incident` about the same; empty if none stands.
        """
        return self._pages.render(
            "thanks",
            language,
            say(language, "form.thanks.title"),
            site_name=site_name,
            token=token,
            reference=reference,
            promised_by=promised_by,
            reachable=reachable,
            incident=incident,
        )
