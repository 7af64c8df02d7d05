// The longest access: for everybody, and for members of some groups.

import { DURATION, abstain, deny, finding, policy, seconds, words } from "./quorate.js";

// The JSON Schema of the config: forms, docs and checks are made from it, so each field says
// what it is and in which range.
const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Config",
  description: "How long access may last.",
  type: "object",
  properties: {
    max: { ...DURATION, description: "The longest access, for everybody who is in none of `groups`." },
    groups: {
      description: "The longest access for members of a group; the largest holds for somebody in several.",
      type: "object",
      additionalProperties: {
        ...DURATION,
        description: "Hours, minutes and seconds, as in 10m, 2h or 1h30m; from 60s to 720h.",
      },
      default: {},
    },
  },
  required: ["max"],
  additionalProperties: false,
};

// What this policy says about a request: too long is denied; otherwise it abstains, since whether
// somebody may come in at all is for another policy of the rule to say.
function evaluate(config, input) {
  const { access, requester } = input.request;
  const { max, groups } = limits(config);
  // One run of a command has no duration.
  if (access.kind === "command") return abstain();

  const theirs = groups.filter(({ group }) => requester.groups.includes(group));
  const longest = theirs.length > 0 ? Math.max(...theirs.map((limit) => limit.max)) : max;
  return access.seconds > longest
    ? deny(`${words(access.seconds)} asked, at most ${words(longest)} is allowed here`)
    : abstain({ maxDuration: longest });
}

// The config in seconds.
function limits({ max, groups = {} }) {
  const theirs = Object.entries(groups).map(([group, max]) => ({ group, max: seconds(max) }));
  return { max: seconds(max), groups: theirs };
}

// What a schema cannot say: how short and how long a duration may be. A code that begins with
// `warning-` is shown, any other refuses the config.
function check(config) {
  try {
    limits(config);
    return [];
  } catch (error) {
    return [finding("invalid-config", error.message)];
  }
}

export const { rule, settings } = policy({ schema, evaluate, check });
