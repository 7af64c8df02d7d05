// Enough different people out of some groups must approve; one rejection ends it.

import { approve, deny, finding, groups, isInAny, needs, policy, wait } from "./quorate.js";

// The JSON Schema of the config: forms, docs and checks are made from it, so each field says
// what it is and in which range.
const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Config",
  description: "Who must approve.",
  type: "object",
  properties: {
    groups: {
      description: "The groups whose members may approve.",
      type: "array",
      items: { type: "string", minLength: 1 },
      minItems: 1,
      uniqueItems: true,
    },
    approvals: {
      description: "How many different people must approve.",
      type: "integer",
      minimum: 1,
      maximum: 20,
      default: 1,
    },
  },
  required: ["groups"],
  additionalProperties: false,
};

// What this policy says about a request. It is asked when the request is made, after each vote,
// and when time may have changed the answer; `input` is all it knows.
function evaluate(config, input) {
  const people = groups(...config.groups);
  const counts = (vote) => isInAny(vote.voter, config.groups);
  // Whose vote counts, for every outcome: anybody else is told so before they vote.
  const always = { voters: people };

  const no = input.votes.find((vote) => vote.choice === "reject" && counts(vote));
  if (no) return deny(`rejected by ${no.voter.id}: ${no.comment}`, always);

  const given = input.votes.filter((vote) => vote.choice === "approve" && counts(vote)).length;
  const missing = (config.approvals ?? 1) - given;
  // One way out of the wait: so many more of these people.
  return missing > 0 ? wait([[needs(missing, people)]], always) : approve(always);
}

// What a schema cannot say. A code that begins with `warning-` is shown, any other refuses the
// config.
function check(config) {
  return config.groups.includes("everybody")
    ? [finding("warning-everybody", "everybody may approve", "/groups")]
    : [];
}

export const { rule, settings } = policy({ schema, evaluate, check });
