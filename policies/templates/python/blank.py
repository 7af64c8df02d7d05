"""Nothing yet: this policy abstains. A request about which all policies of its rule abstain is
denied, so a policy that was forgotten lets nobody in."""

from quorate import abstain, policy

# The JSON Schema of the config: forms, docs and checks are made from it, so give each field its
# description and its range.
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Config",
    "description": "What a rule tells this policy.",
    "type": "object",
    "additionalProperties": False,
}


def evaluate(config, input):
    """What this policy says about a request, each word out of `quorate`:

    - `abstain()`: nothing;
    - `wait(ways)`: not yet, and what is missing;
    - `approve()`: enough;
    - `bypass(why)`: approved, whatever other policies wait for;
    - `deny(why)`: no.
    """
    return abstain()


Rule, Settings = policy(schema=SCHEMA, evaluate=evaluate)
