// The words of all worlds: from what the component runtime passes to what a policy sees, and back.
//
// Integers: up to 2^53 - 1 a number, above a bigint. The runtime (componentize-qjs 0.4.5) hands 64 bits over as a signed
// number and so rounds what lies between 2^53 and 2^64 - 2^53: such a field throws when it is read, since a comparison with
// a rounded number would be wrong without a word. A policy that does not look at it is not disturbed.

import { log } from "./log.js";

/** A text as WebAssembly can carry it: without halves of surrogate pairs. */
export function text(value, what) {
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${describe(value)}`);
  return value.toWellFormed();
}

export function describe(value) {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? value.constructor?.name ?? "an object" : `a ${typeof value}`;
}

const SPAN = 2n ** 64n;

/** The exact integer, or undefined where the runtime has rounded it. */
function exact(raw) {
  if (typeof raw === "bigint") return raw <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(raw) : raw;
  if (!Number.isSafeInteger(raw)) return undefined;
  return raw < 0 ? SPAN + BigInt(raw) : raw;
}

/** Defines an integer as a field that throws when it is read and is not exact. */
export function defineInteger(object, name, raw) {
  const value = raw === null || raw === undefined ? raw : exact(raw);
  if (value !== undefined) {
    Object.defineProperty(object, name, { value, enumerable: true });
    return;
  }
  const get = () => {
    throw new RangeError(`${name} lies between 2^53 and 2^64 - 2^53, which JavaScript policies cannot read exactly`);
  };
  Object.defineProperty(object, name, { get, enumerable: true });
}

/** Defines a field that is made when it is first read. */
function defineLazy(object, name, make) {
  let made;
  const get = () => (made ??= { value: make() }).value;
  Object.defineProperty(object, name, { get, enumerable: false });
}

/** Defines `name` as the value that a JSON text stands for; parsed when it is first read. */
export function defineJson(object, name, source) {
  defineLazy(object, name, () => (source === null ? null : JSON.parse(source)));
}

class Facts {
  constructor(facts) {
    this.facts = Object.freeze(facts.map(fact));
  }

  fact(name) {
    return this.facts.find((fact) => fact.name === name)?.value;
  }
}

function fact(raw) {
  const fact = { name: raw.name };
  if (raw.value.tag === "number") defineInteger(fact, "value", raw.value.val);
  else fact.value = raw.value.val;
  return Object.freeze(fact);
}

export class Context extends Facts {
  constructor(raw) {
    super(raw.facts);
    this.settingsText = raw.settings;
    defineInteger(this, "now", raw.now);
    defineInteger(this, "revision", raw.revision);
    defineJson(this, "settings", raw.settings);
    Object.freeze(this);
  }
}

export class Evidence extends Facts {
  constructor(raw) {
    super(raw.identity);
    this.tee = raw.tee;
    this.debug = raw.debug;
    this.tcbStatus = raw.tcbStatus;
    this.advisories = raw.advisories;
    Object.freeze(this);
  }

  get identity() {
    return this.facts;
  }
}

/** What every question has. */
export class Question {
  constructor(raw) {
    this.context = new Context(raw.context);
  }

  /** The policy entry's Settings, as JSON.parse gives them; null where absent. */
  get settings() {
    return this.context.settings;
  }

  /** The value of a fact of the context, undefined where it is absent. */
  fact(name) {
    return this.context.fact(name);
  }
}

export function principal(raw) {
  return Object.freeze({ name: raw.name, certificateSha256: raw.certificateSha256, roles: raw.roles.map(Object.freeze) });
}

/** What makes a policy's error one of the policy: nobody but the log learns more. */
export const FAILURE = Object.freeze({
  code: "policy-error",
  message: "the policy failed",
  hint: "the coordinator's log says why",
});

/** Writes why a policy failed to the log. */
export function logFailure(error) {
  let reason;
  try {
    reason = error instanceof Error ? `${error.name}: ${error.message}` : `it threw ${String(error)}`;
  } catch {
    reason = "it threw something that cannot be shown";
  }
  log.warn(reason);
}

/** Refuses what an async function returns: a policy answers at once. */
export function refusePromise(answer) {
  if (typeof answer?.then === "function") throw new TypeError("a policy answers at once; its function must not be async");
}
