// The contract, as JavaScript likes it: plain objects in, plain objects out. Yours to change,
// but `policy.js` is where a policy is written.
//
// - An instant is a number of milliseconds since 1970 (UTC), a duration a number of seconds.
// - Names are in camelCase, what is missing is `null`.
// - `request.access` is `{ kind: "just-in-time", seconds }` or
//   `{ kind: "command", text, arguments }`; the same in `input.history`.
// - `attributes` are one object, values parsed; `facts` too, where `null` could not be had.

import * as host from "quorate:policy/host@1.0.0";

/** Keeps a line with the evaluation; never part of the decision. */
export function log(message) {
  host.log(String(message));
}

/** Everybody in any of these groups. */
export const groups = (...names) => ({ groups: names, users: [] });
/** These people. */
export const users = (...ids) => ({ groups: [], users: ids });
/** So many more approvals by different people out of `people`; an empty message: the gateway words it. */
export const needs = (approvals, people, message = "") => ({ approvals, people, message });
/** Something to tell people; `path` is a JSON pointer into the config. */
export const finding = (code, message, path = null) => ({ code, message, path });
/**
 * Has people told something about the request, once, however often it is said: one of the
 * `obligations`. `id` names it within the request and the policy; nobody named: those who can still vote.
 */
export const notify = (id, message, people = groups()) => ({ kind: "notify", params: { id, message, ...people } });
/** Whether a person is in any of the groups. */
export const isInAny = (person, names) => person.groups.some((group) => names.includes(group));

/** The schema of a length of access; give each its own `description`. */
export const DURATION = {
  type: "string",
  pattern: "^([0-9]+h([0-9]+m)?([0-9]+s)?|[0-9]+m([0-9]+s)?|[0-9]+s)$",
  examples: ["30m", "2h", "1h30m"],
};
/** The seconds of a length of access as a config says it: `10m`, `2h`, `1h30m`. */
export function seconds(text) {
  const [, h = 0, m = 0, s = 0] = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text) ?? [];
  const all = h * 3600 + m * 60 + Number(s);
  if (all >= 60 && all <= 30 * 24 * 3600) return all;
  throw new Error(
    `\`${text}\` is not a duration: write hours, minutes and seconds as in 10m, 2h or 1h30m, from 60s to 720h`,
  );
}
/** A length of access in the shortest words: 5400 seconds are `1h30m`. */
export function words(seconds) {
  const counts = [[Math.floor(seconds / 3600), "h"], [Math.floor(seconds / 60) % 60, "m"], [seconds % 60, "s"]];
  return counts.map(([count, unit]) => (count > 0 ? `${count}${unit}` : "")).join("") || "0s";
}

// A verdict: what it says, and in `more` any of maxDuration, voters, forcers, revisitAt,
// findings, obligations ({ kind, params, critical }).
/** Nothing to say. */
export const abstain = (more) => verdict({ tag: "abstain" }, more);
/** Not yet: any one of these ways is enough, all requirements of one way are needed. */
export const wait = (ways, more) => verdict({ tag: "wait", val: ways }, more);
/** Enough. */
export const approve = (more) => verdict({ tag: "approve" }, more);
/** Approved, whatever other policies wait for. */
export const bypass = (why, more) => verdict({ tag: "bypass", val: why }, more);
/** No. */
export const deny = (why, more) => verdict({ tag: "deny", val: why }, more);

function verdict(outcome, more = {}) {
  const nothing = {
    maxDuration: null,
    voters: groups(),
    forcers: groups(),
    revisitAt: null,
    findings: [],
    obligations: [],
  };
  for (const name of Object.keys(more)) {
    if (!(name in nothing)) throw new Error(`a verdict has no ${name}; it has ${Object.keys(nothing).join(", ")}`);
  }
  return { outcome, ...nothing, ...more };
}

/**
 * Makes a module a policy. `check` says what a schema cannot; `facts` names what the gateway is
 * to find out before a call, `historySeconds` how far back `input.history` reaches.
 */
export function policy({ schema, evaluate, check = () => [], facts = [], historySeconds = null }) {
  return {
    rule: {
      evaluate: told((config, input) => toContract(evaluate(JSON.parse(config), fromContract(input)))),
    },
    settings: {
      schema: () => JSON.stringify(schema),
      check: told((config) => check(JSON.parse(config))),
      evidence: () => ({ facts, historyWindow: historySeconds }),
    },
  };
}

// An exception is a fault, never an approval; its text would be lost.
function told(body) {
  return (...given) => {
    try {
      return body(...given);
    } catch (error) {
      log(`${error}\n${error?.stack ?? ""}`);
      throw error;
    }
  };
}

function fromContract(input) {
  const { request } = input;
  return {
    now: Number(input.now),
    request: {
      ...request,
      requester: person(request.requester),
      target: {
        ...request.target,
        maxDuration: numberOrNull(request.target.maxDuration),
        attributes: values(request.target.attributes),
      },
      access: access(request.access),
      submittedAt: Number(request.submittedAt),
      attributes: values(request.attributes),
    },
    votes: input.votes.map((vote) => ({
      ...vote,
      voter: person(vote.voter),
      castAt: Number(vote.castAt),
      attributes: values(vote.attributes),
    })),
    history: input.history.map((past) => ({
      ...past,
      access: access(past.access),
      submittedAt: Number(past.submittedAt),
      endedAt: numberOrNull(past.endedAt),
    })),
    facts: Object.fromEntries(
      input.facts.map((fact) => [fact.name, fact.known == null ? null : JSON.parse(fact.known)]),
    ),
    attributes: values(input.attributes),
  };
}

function toContract(said) {
  return {
    ...said,
    maxDuration: numberOrNull(said.maxDuration),
    revisitAt: numberOrNull(said.revisitAt),
    findings: said.findings.map(({ code, message, path = null }) => ({ code, message, path })),
    obligations: said.obligations.map(({ kind, params = {}, critical = false }) => ({
      kind,
      params: JSON.stringify(params),
      critical,
    })),
    attributes: [],
  };
}

const numberOrNull = (value) => (value == null ? null : Number(value));
const values = (attributes) => Object.fromEntries(attributes.map(({ name, value }) => [name, JSON.parse(value)]));
const person = (principal) => ({ ...principal, attributes: values(principal.attributes) });
const access = ({ tag, val }) =>
  tag === "command" ? { kind: tag, ...val } : { kind: "just-in-time", seconds: Number(val) };

// A policy that asked for the time or for chance would answer differently when it is asked again.
const none = (what) => () => {
  throw new Error(`a policy has no ${what}: everything it may know is in its input`);
};
Math.random = none("randomness");
const RealDate = globalThis.Date;
globalThis.Date = class Date extends RealDate {
  constructor(...given) {
    if (given.length === 0) none("clock, use input.now")();
    super(...given);
  }
};
globalThis.Date.now = none("clock, use input.now");
