// Who needs no approval, or may give it alone: always with a reason on record.

import { abstain, bypass, finding, groups, isInAny, policy } from "./quorate.js";

const GROUPS = { type: "array", items: { type: "string", minLength: 1 }, uniqueItems: true, default: [] };

// The JSON Schema of the config: forms, docs and checks are made from it, so each field says
// what it is and in which range.
const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Config",
  description: "Who may skip approval.",
  type: "object",
  properties: {
    skip_groups: {
      ...GROUPS,
      description: "Members need no approval for what they ask for, if they say why.",
    },
    force_groups: { ...GROUPS, description: "Members may force an approval alone, if they say why." },
  },
  additionalProperties: false,
};

// What this policy says about a request: approved at once, or nothing. A denial by another policy
// of the rule still wins, such as one that caps the duration.
function evaluate({ skip_groups = [], force_groups = [] }, input) {
  const { requester, reason } = input.request;
  // Who may force is the same for every outcome: people are shown it beforehand.
  const always = { forcers: groups(...force_groups) };
  // A bypass that can be found again by its code.
  const marked = (code, why) => bypass(why, { ...always, findings: [finding(code, why)] });

  const group = skip_groups.find((name) => requester.groups.includes(name));
  if (group !== undefined) {
    if (reason.trim()) return marked("skipped", `${requester.id} is in ${group}: ${reason}`);
    // Told, and then it waits for approval like anybody's request.
    const told = finding("no-reason", `members of ${group} need no approval if they say why`);
    return abstain({ ...always, findings: [told] });
  }
  const forced = input.votes.find(
    (vote) => vote.choice === "approve" && vote.forced && isInAny(vote.voter, force_groups),
  );
  return forced ? marked("forced", `forced by ${forced.voter.id}: ${forced.comment}`) : abstain(always);
}

// What a schema cannot say. A code that begins with `warning-` is shown, any other refuses the
// config.
function check({ skip_groups = [], force_groups = [] }) {
  return skip_groups.length === 0 && force_groups.length === 0
    ? [finding("warning-no-effect", "nobody may skip approval: this policy does nothing")]
    : [];
}

export const { rule, settings } = policy({ schema, evaluate, check });
