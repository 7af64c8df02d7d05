"""Who needs no approval, or may give it alone: always with a reason on record."""

from quorate import abstain, bypass, finding, groups, is_in_any, policy

GROUPS = {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True, "default": []}

# The JSON Schema of the config: forms, docs and checks are made from it, so each field says
# what it is and in which range.
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Config",
    "description": "Who may skip approval.",
    "type": "object",
    "properties": {
        "skip_groups": GROUPS
        | {"description": "Members need no approval for what they ask for, if they say why."},
        "force_groups": GROUPS | {"description": "Members may force an approval alone, if they say why."},
    },
    "additionalProperties": False,
}


def evaluate(config, input):
    """What this policy says about a request: approved at once, or nothing. A denial by another
    policy of the rule still wins, such as one that caps the duration."""
    requester, reason = input.request.requester, input.request.reason
    may_force = config.get("force_groups", [])
    # Who may force is the same for every outcome: people are shown it beforehand.
    forcers = groups(*may_force)

    def marked(code, why):
        """A bypass that can be found again by its code."""
        return bypass(why, forcers=forcers, findings=[finding(code, why)])

    for group in config.get("skip_groups", []):
        if group in requester.groups:
            if reason.strip():
                return marked("skipped", f"{requester.id} is in {group}: {reason}")
            # Told, and then it waits for approval like anybody's request.
            told = finding("no-reason", f"members of {group} need no approval if they say why")
            return abstain(forcers=forcers, findings=[told])
    for vote in input.votes:
        if vote.choice == "approve" and vote.forced and is_in_any(vote.voter, may_force):
            return marked("forced", f"forced by {vote.voter.id}: {vote.comment}")
    return abstain(forcers=forcers)


def check(config):
    """What a schema cannot say. A code that begins with `warning-` is shown, any other refuses
    the config."""
    if not config.get("skip_groups") and not config.get("force_groups"):
        return [finding("warning-no-effect", "nobody may skip approval: this policy does nothing")]
    return []


Rule, Settings = policy(schema=SCHEMA, evaluate=evaluate, check=check)
