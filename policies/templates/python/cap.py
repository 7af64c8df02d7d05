"""The longest access: for everybody, and for members of some groups."""

from quorate import DURATION, abstain, deny, finding, policy, seconds, words

# The JSON Schema of the config: forms, docs and checks are made from it, so each field says
# what it is and in which range.
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Config",
    "description": "How long access may last.",
    "type": "object",
    "properties": {
        "max": DURATION | {"description": "The longest access, for everybody who is in none of `groups`."},
        "groups": {
            "description": "The longest access for members of a group; the largest holds for somebody in several.",
            "type": "object",
            "additionalProperties": DURATION
            | {"description": "Hours, minutes and seconds, as in 10m, 2h or 1h30m; from 60s to 720h."},
            "default": {},
        },
    },
    "required": ["max"],
    "additionalProperties": False,
}


def evaluate(config, input):
    """What this policy says about a request: too long is denied; otherwise it abstains, since
    whether somebody may come in at all is for another policy of the rule to say."""
    access, requester = input.request.access, input.request.requester
    everybody, by_group = limits(config)
    if access.kind == "command":
        # One run of a command has no duration.
        return abstain()

    longest = max((by_group[group] for group in requester.groups if group in by_group), default=everybody)
    if access.seconds > longest:
        return deny(f"{words(access.seconds)} asked, at most {words(longest)} is allowed here")
    return abstain(max_duration=longest)


def limits(config):
    """The config in seconds: for everybody, and by group."""
    by_group = {group: seconds(longest) for group, longest in config.get("groups", {}).items()}
    return seconds(config["max"]), by_group


def check(config):
    """What a schema cannot say: how short and how long a duration may be. A code that begins
    with `warning-` is shown, any other refuses the config."""
    try:
        limits(config)
    except ValueError as error:
        return [finding("invalid-config", str(error))]
    return []


Rule, Settings = policy(schema=SCHEMA, evaluate=evaluate, check=check)
