"""The question how a touchpoint was, as a form, and thanks for the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.complaints import Language
from shared.contracts.policy import Scale
from shared.runtime.http.pages import Fault, Pages
from shared.runtime.words import say

#: As much as a customer may add on their complaint's page.
TEXT_CHARS_MAX = 2000
SCORES = tuple(map(str, Scale.ONE_TO_FIVE.scores))
_CHIPS = """<fieldset class="chips" id="{name}"{{{{ amiss("{name}") }}}}><legend>{{{{ say("{said}") }}}}</legend>
<p>{{{{ say("{hint}") }}}}</p>
<div>{{% for score in scores %}}<label><input type="radio" name="{name}" value="{{{{ score }}}}"{{% if score == form.{name} %}} checked{{% endif %}}><span>{{{{ score }}}}</span></label>
{{% endfor %}}</div></fieldset>"""
_ASKING = f"""<form method="post">
{_CHIPS.format(name="experience", said="asking.experience", hint="asking.hint.experience")}
{_CHIPS.format(name="importance", said="asking.importance", hint="asking.hint.importance")}
<label for="text">{{{{ say("asking.text") }}}}</label>
<textarea id="text" name="text" rows="3" maxlength="{TEXT_CHARS_MAX}" dir="auto"{{{{ amiss("text") }}}}>
{{{{ form.text }}}}</textarea>
<button class="yes">{{{{ say("asking.send") }}}}</button></form>
<p>{{{{ say("asking.free") }}}}</p>
<p><a href="{{{{ shown.preferences }}}}">{{{{ say("preferences.title") }}}}</a></p>
"""
_THANKS = """<div id="answer">{% if form.text %}<p>{{ say("mine.words.kept") }}</p>
<blockquote dir="auto">{{ form.text }}</blockquote>
{% endif %}{% if again and not shown.mine %}<p>{{ say("asking.more") }}</p>
{% endif %}</div>
{% if shown.danger %}<p class="missed">{{ say("letter.acknowledgement.help") }}</p>
{% endif %}{% if shown.missed %}<p class="missed">{{ say("mine.missed", when=shown.missed) }}</p>
{% endif %}{% if shown.mine %}<p>{{ say("asking.sorry") }}</p>
{% if shown.promised_by %}<p class="standing" role="status">{{ say("mine.by", when=shown.promised_by) }}</p>
{% endif %}<p><a href="{{ shown.mine }}">{{ say("form.thanks.follow") }}</a></p>
{% endif %}<p><a href="{{ shown.preferences }}">{{ say("preferences.title") }}</a></p>
"""


class AnswerForm(BaseModel):
    """How a touchpoint was; a field that was left out is empty."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"experience": "2", "importance": "5", "text": "The soup was cold."}]
        }
    )

    experience: Annotated[
        str, Field(description="How it was, 5 is best.", json_schema_extra={"enum": [*SCORES]})
    ] = ""
    importance: Annotated[
        str,
        Field(
            description="How much it matters to the customer, 5 is most; absent or empty if they do not say.",
            json_schema_extra={"enum": ["", *SCORES]},
        ),
    ] = ""
    text: Annotated[
        str,
        Field(
            description="What they write beside it.",
            json_schema_extra={"maxLength": TEXT_CHARS_MAX},
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows: the question, or what became of the answer."""

    language: Language
    site_name: str
    question: str
    answered: bool
    #: Where they say how we write to them.
    preferences: str
    #: By when the customer hears from us, where their answer is a complaint; empty if that is over, or it is none.
    promised_by: str = ""
    #: The time of the last promise about it that was broken, while it is not over; empty if none was.
    missed: str = ""
    #: The path of the complaint's page; empty if the answer is none.
    mine: str = ""
    #: Whether it concerns somebody's safety, while it is not over: nobody waits for an answer then.
    danger: bool = False


class AskingPage:
    """The pages in each language."""

    def __init__(self) -> None:
        self._pages = Pages(asking=_ASKING, thanks=_THANKS)

    def show(
        self, shown: Shown, form: AnswerForm, faults: Sequence[Fault] = (), *, again: bool = False
    ) -> str:
        """The question with what was chosen, or thanks once it is answered; `again` says that this answer came later and was not taken."""
        language = shown.language
        if shown.answered:
            title = say(language, "asking.thanks")
            return self._pages.render(
                "thanks",
                language,
                title,
                site_name=shown.site_name,
                faults=[Fault(say(language, "asking.before"), "answer")] if again else [],
                shown=shown,
                form=form,
                again=again,
            )
        return self._pages.render(
            "asking",
            language,
            shown.question,
            site_name=shown.site_name,
            faults=faults,
            shown=shown,
            form=form,
            scores=SCORES,
        )


def faults_in(form: AnswerForm, language: Language) -> Sequence[Fault]:
    """What the customer must put right, in the order of the page."""
    found = []
    if form.experience not in SCORES:
        found.append(Fault(say(language, "asking.fault.experience"), "experience"))
    if form.importance not in ("", *SCORES):
        found.append(Fault(say(language, "asking.fault.importance"), "importance"))
    if len(form.text) > TEXT_CHARS_MAX:
        found.append(Fault(say(language, "form.fault.long", count=TEXT_CHARS_MAX), "text"))
    return found
