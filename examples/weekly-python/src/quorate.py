"""The contract, as Python likes it. Yours to change, but `policy.py` is where a policy is written.

- An instant is an int of milliseconds since 1970 (UTC), a duration an int of seconds.
- What is missing is `None`.
- `request.access` has a `kind`: `just-in-time` with `seconds`, or `command` with `text` and
  `arguments`; the same in `input.history`.
- `choice` is `approve` or `reject`.
- `attributes` are a dict, values parsed; `facts` too, where `None` could not be had.
"""

import json
import re
import traceback
from types import SimpleNamespace

from wit_world.imports import host, types


def log(message):
    """Keeps a line with the evaluation; never part of the decision."""
    host.log(str(message))


def groups(*names):
    """Everybody in any of these groups."""
    return types.Audience(groups=list(names), users=[])


def users(*ids):
    """These people."""
    return types.Audience(groups=[], users=list(ids))


def needs(approvals, people, message=""):
    """So many more approvals by different people; an empty message: the gateway words it."""
    return types.Requirement(people=people, approvals=approvals, message=message)


def finding(code, message, path=None):
    """Something to tell people; `path` is a JSON pointer into the config."""
    return types.Finding(code=code, message=message, path=path)


def obligation(kind, params=None, critical=False):
    """Something that must be done if the request is approved."""
    return types.Obligation(kind=kind, params=json.dumps(params or {}), critical=critical)


def notify(id, message, people=None):
    """Has people told something about the request, once, however often it is said: one of the
    `obligations`. `id` names it within the request and the policy; nobody named: those who can still vote."""
    people = people or groups()
    return obligation("notify", {"id": id, "message": message, "groups": people.groups, "users": people.users})


def is_in_any(person, names):
    """Whether a person is in any of the groups."""
    return any(group in names for group in person.groups)


# The schema of a length of access; give each its own `description`.
DURATION = {
    "type": "string",
    "pattern": "^([0-9]+h([0-9]+m)?([0-9]+s)?|[0-9]+m([0-9]+s)?|[0-9]+s)$",
    "examples": ["30m", "2h", "1h30m"],
}
_DURATION = re.compile("(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


def seconds(text):
    """The seconds of a length of access as a config says it: `10m`, `2h`, `1h30m`."""
    found = _DURATION.fullmatch(text) if len(text) <= 40 else None
    h, m, s = (int(count) for count in found.groups("0")) if found else (0, 0, 0)
    total = h * 3600 + m * 60 + s
    if not 60 <= total <= 30 * 24 * 3600:
        raise ValueError(
            f"`{text}` is not a duration: write hours, minutes and seconds as in 10m, 2h or 1h30m, from 60s to 720h"
        )
    return total


def words(seconds):
    """A length of access in the shortest words: 5400 seconds are `1h30m`."""
    counts = [(seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    return "".join(f"{count}{unit}" for count, unit in counts if count) or "0s"


# A verdict: what it says, and any of what `_verdict` takes.


def abstain(**more):
    """Nothing to say."""
    return _verdict(types.Outcome_Abstain(), **more)


def wait(ways, **more):
    """Not yet: any one of these ways is enough, all requirements of one way are needed."""
    return _verdict(types.Outcome_Wait(ways), **more)


def approve(**more):
    """Enough."""
    return _verdict(types.Outcome_Approve(), **more)


def bypass(why, **more):
    """Approved, whatever other policies wait for."""
    return _verdict(types.Outcome_Bypass(why), **more)


def deny(why, **more):
    """No."""
    return _verdict(types.Outcome_Deny(why), **more)


def _verdict(outcome, max_duration=None, voters=None, forcers=None, revisit_at=None, findings=(), obligations=()):
    return types.Verdict(
        outcome=outcome,
        max_duration=max_duration,
        voters=voters or groups(),
        forcers=forcers or groups(),
        revisit_at=revisit_at,
        findings=list(findings),
        obligations=list(obligations),
        attributes=[],
    )


def policy(*, schema, evaluate, check=lambda config: [], facts=(), history_seconds=None):
    """Makes a module a policy. `check` says what a schema cannot; `facts` names what the gateway
    is to find out before a call, `history_seconds` how far back `input.history` reaches."""

    class Rule:
        def evaluate(self, config, input):
            with _told():
                return evaluate(json.loads(config), _input(input))

    class Settings:
        def schema(self):
            return json.dumps(schema)

        def check(self, config):
            with _told():
                return list(check(json.loads(config)))

        def evidence(self):
            return types.EvidenceNeeds(facts=list(facts), history_window=history_seconds)

    return Rule, Settings


class _told:
    """An exception is a fault, never an approval; its text would be lost."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            log("".join(traceback.format_exception(kind, error, trace)))
        return False


def _input(input):
    request, target = input.request, input.request.target
    return SimpleNamespace(
        now=input.now,
        request=SimpleNamespace(
            id=request.id,
            requester=_person(request.requester),
            target=SimpleNamespace(
                name=target.name,
                kind=target.kind,
                max_duration=target.max_duration,
                attributes=_values(target.attributes),
            ),
            access=_access(request.access),
            reason=request.reason,
            submitted_at=request.submitted_at,
            attributes=_values(request.attributes),
        ),
        votes=[
            SimpleNamespace(
                voter=_person(vote.voter),
                choice="approve" if vote.choice == types.Choice.APPROVE else "reject",
                forced=vote.forced,
                comment=vote.comment,
                cast_at=vote.cast_at,
                attributes=_values(vote.attributes),
            )
            for vote in input.votes
        ],
        history=[
            SimpleNamespace(
                access=_access(past.access),
                outcome=past.outcome,
                submitted_at=past.submitted_at,
                ended_at=past.ended_at,
            )
            for past in input.history
        ],
        facts={fact.name: None if fact.known is None else json.loads(fact.known) for fact in input.facts},
        attributes=_values(input.attributes),
    )


def _values(attributes):
    return {attribute.name: json.loads(attribute.value) for attribute in attributes}


def _person(principal):
    return SimpleNamespace(
        id=principal.id,
        email=principal.email,
        groups=principal.groups,
        attributes=_values(principal.attributes),
    )


def _access(access):
    if isinstance(access, types.Access_Command):
        command = access.value
        return SimpleNamespace(kind="command", text=command.text, arguments=command.arguments)
    return SimpleNamespace(kind="just-in-time", seconds=access.value)
