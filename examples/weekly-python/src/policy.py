"""Whoever is on duty this week approves: people take turns, a week each, from Monday to Sunday (UTC)."""

from datetime import date, datetime, timedelta, timezone

from quorate import approve, deny, finding, needs, policy, users, wait

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Config",
    "description": "Who is on duty, and from when on.",
    "type": "object",
    "properties": {
        "rota": {
            "description": "The ids of those who take turns, in this order, again and again.",
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 2,
            "uniqueItems": True,
        },
        "first": {
            "description": "A Monday: in its week the first of them is on duty.",
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "examples": ["2027-01-04"],
        },
    },
    "required": ["rota", "first"],
    "additionalProperties": False,
}

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def monday_of(instant):
    """The Monday of the week of an instant."""
    day = (EPOCH + timedelta(milliseconds=instant)).date()
    return day - timedelta(days=day.weekday())


def on_duty(config, instant, requester):
    """Who decides then; where that is who asks, the next one."""
    rota = config["rota"]
    weeks = (monday_of(instant) - date.fromisoformat(config["first"])).days // 7
    turns = [rota[(weeks + after) % len(rota)] for after in range(len(rota))]
    return next(person for person in turns if person != requester)


def evaluate(config, input):
    """A vote counts where the voter was on duty when they gave it."""
    requester = input.request.requester.id
    duty = on_duty(config, input.now, requester)
    people = users(duty)
    for vote in input.votes:
        if vote.voter.id == on_duty(config, vote.cast_at, requester):
            if vote.choice == "reject":
                return deny(f"rejected by {vote.voter.id}", voters=people)
            return approve(voters=people)
    monday = monday_of(input.now) + timedelta(days=7)
    next_week = datetime(monday.year, monday.month, monday.day, tzinfo=timezone.utc)
    return wait(
        [[needs(1, people)]],
        voters=people,
        revisit_at=(next_week - EPOCH) // timedelta(milliseconds=1),
        findings=[finding("on-duty", f"{duty} is on duty until {monday.isoformat()}")],
    )


def check(config):
    """What a schema cannot say."""
    found = []
    try:
        if date.fromisoformat(config["first"]).weekday() != 0:
            found.append(finding("no-monday", "weeks begin on a Monday", "/first"))
    except ValueError:
        found.append(finding("no-monday", "there is no such day", "/first"))
    if len(set(config["rota"])) < 2:
        found.append(finding("nobody-else", "with fewer than two nobody could decide for the one", "/rota"))
    return found


Rule, Settings = policy(schema=SCHEMA, evaluate=evaluate, check=check)
