// On production the reason names a ticket, such as INC-123. Everything else others decide.

import { abstain, deny, finding, policy } from "./quorate.js";

const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Config",
  description: "Which tickets there are, and where one is needed.",
  type: "object",
  properties: {
    projects: {
      description: "What the tickets begin with: INC for INC-123.",
      type: "array",
      items: { type: "string", pattern: "^[A-Z][A-Z0-9]{0,9}$" },
      minItems: 1,
      uniqueItems: true,
    },
    environments: {
      description: "The values of the resource's attribute env where a ticket is needed.",
      type: "array",
      items: { type: "string", minLength: 1 },
      minItems: 1,
      uniqueItems: true,
      default: ["prod"],
    },
  },
  required: ["projects"],
  additionalProperties: false,
};

// The tickets in a text, each once: a project, a hyphen, a number, and nothing that would make
// it another word.
function tickets(projects, text) {
  const ticket = new RegExp(String.raw`(?<![\p{L}\p{N}_-])(?:${projects.join("|")})-[1-9][0-9]{0,9}(?![\p{L}\p{N}_-])`, "gu");
  return [...new Set(text.match(ticket) ?? [])];
}

function evaluate(config, input) {
  const { target, reason } = input.request;
  if (!(config.environments ?? ["prod"]).includes(target.attributes.env)) return abstain();
  const named = tickets(config.projects, reason);
  if (named.length === 0) {
    const example = config.projects.map((project) => `${project}-123`).join(" or ");
    return deny(`name a ticket in the reason, such as ${example}`);
  }
  return abstain({ findings: [finding("ticket", `for ${named.join(", ")}`)] });
}

// What a schema cannot say: it is a pattern, so whoever does not check against the schema must
// not put another one into it.
function check(config) {
  return config.projects.flatMap((project, nth) =>
    /^[A-Z][A-Z0-9]{0,9}$/.test(project)
      ? []
      : [finding("project", "a project is up to ten capitals and digits", `/projects/${nth}`)],
  );
}

export const { rule, settings } = policy({ schema, evaluate, check });
