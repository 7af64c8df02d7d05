"""Enough different people out of some groups must approve; one rejection ends it."""

from quorate import approve, deny, finding, groups, is_in_any, needs, policy, wait

# The JSON Schema of the config: forms, docs and checks are made from it, so each field says
# what it is and in which range.
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Config",
    "description": "Who must approve.",
    "type": "object",
    "properties": {
        "groups": {
            "description": "The groups whose members may approve.",
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "uniqueItems": True,
        },
        "approvals": {
            "description": "How many different people must approve.",
            "type": "integer",
            "minimum": 1,
            "maximum": 20,
            "default": 1,
        },
    },
    "required": ["groups"],
    "additionalProperties": False,
}


def evaluate(config, input):
    """What this policy says about a request. It is asked when the request is made, after each
    vote, and when time may have changed the answer; `input` is all it knows."""
    people = groups(*config["groups"])
    # Only these votes count, and `voters` says so for every outcome: anybody else is told
    # before they vote.
    votes = [vote for vote in input.votes if is_in_any(vote.voter, config["groups"])]

    for vote in votes:
        if vote.choice == "reject":
            return deny(f"rejected by {vote.voter.id}: {vote.comment}", voters=people)

    missing = config.get("approvals", 1) - len(votes)
    if missing > 0:
        # One way out of the wait: so many more of these people.
        return wait([[needs(missing, people)]], voters=people)
    return approve(voters=people)


def check(config):
    """What a schema cannot say. A code that begins with `warning-` is shown, any other refuses
    the config."""
    if "everybody" in config["groups"]:
        return [finding("warning-everybody", "everybody may approve", "/groups")]
    return []


Rule, Settings = policy(schema=SCHEMA, evaluate=evaluate, check=check)
