"""A complaint's timeline is the same in whatever order its facts come (INV-06)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.complaints.lifecycle.rules import Complaint, Promise
from services.complaints.timeline import rules
from services.complaints.timeline.rules import SLICE, Entry, Timeline, whole
from shared.contracts.complaints import ComplaintFact, Language
from shared.contracts.lifecycle import State
from shared.kernel import Fact
from shared.testing.clock import START
from tests.suites.services import SITE
from tests.unit.test_timeline import TOLD, example

COMPLAINT = Complaint(
    state=State.TRIAGED,
    customer_ref="c-1",
    site=SITE,
    language=Language.NB,
    text="v1.x",
    received_at=START,
    promised_by=START,
    promises=(Promise(0, START),),
)
#: Two checks of the complaint, and one that no complaint of it is known of.
CHECKS = ("ck-1", "ck-2", "ck-3")


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Facts of one complaint and its checks, many at the same moments; those of complaints itself in order."""
    found = []
    for kind in draw(
        st.lists(st.sampled_from(sorted(TOLD, key=lambda one: one.TYPE)), max_size=12)
    ):
        moment = START + timedelta(seconds=draw(st.integers(0, 3)))
        fields = {
            TOLD[kind].at: moment,
            "complaint_id": "co-1",
            "check_id": draw(st.sampled_from(CHECKS)),
        }
        known = {name: value for name, value in fields.items() if name in kind.model_fields}
        found.append(example(kind).model_copy(update=known))
    return found


def heard(said: Sequence[Fact]) -> tuple[Sequence[Entry], int]:
    """The timeline of the complaint after these facts, and how much is not kept."""
    kept: dict[str, Timeline] = {}
    for fact in said:
        (fold,) = SLICE.folds[type(fact)]
        key = fold.id(fact)
        assert key is not None
        assert fold.evolve is not None
        after = fold.evolve(kept.get(key), fact)
        assert isinstance(after, Timeline)
        kept[key] = Timeline.model_validate_json(after.model_dump_json(exclude_none=True))
    own = kept.get("co-1")
    checks = {name: kept[name] for name in rules.checks_of(own) if name in kept}
    left_out = sum(one.left_out for one in (own, *checks.values()) if one is not None)
    return whole(COMPLAINT, own, checks), left_out


@settings(max_examples=200)
@given(facts(), st.randoms(use_true_random=False), st.sampled_from([3, rules.ENTRIES_MAX]))
def test_any_order_of_arrival_gives_the_same_timeline(said, dice, most):
    """What complaints says itself keeps its order; what others say comes whenever it comes."""
    own = [fact for fact in said if isinstance(fact, ComplaintFact)]
    others = [fact for fact in said if not isinstance(fact, ComplaintFact)]
    dice.shuffle(others)
    mixed: list[Fact] = list(own)
    for fact in others:
        # Behind or before anything of ours, and of other services.
        mixed.insert(dice.randint(0, len(mixed)), fact)
    before = rules.ENTRIES_MAX
    rules.ENTRIES_MAX = most
    try:
        assert heard(mixed) == heard(said)
    finally:
        rules.ENTRIES_MAX = before
