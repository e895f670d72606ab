// Allow and deny, and how an authorizer or an admitter is asked.

import { FAILURE, describe, logFailure, refusePromise, text } from "./words.js";

export class Decision {
  get allowed() {
    return this instanceof Allow;
  }
}

class Allow extends Decision {}

class Deny extends Decision {
  constructor(code, message, hint, resources) {
    super();
    this.code = text(code, "code");
    this.message = text(message, "message");
    this.hint = hint === undefined || hint === null ? null : text(hint, "hint");
    this.resources = Object.freeze(Array.from(resources, (name) => text(name, "a resource")));
    if (this.code === "" && this.message === "") throw new TypeError("a denial needs a code or a message");
    Object.freeze(this);
  }
}

const ALLOWED = Object.freeze(new Allow());

export function allow() {
  return ALLOWED;
}

export function deny(code, message, { hint, resources = [] } = {}) {
  return new Deny(code, message, hint, resources);
}

/** Asks a policy; its answer in the form of the component's world. Never throws. */
export function decide(policy, Request, raw) {
  return encode(asked(policy, Request, raw));
}

function asked(policy, Request, raw) {
  try {
    const answer = policy.decide(new Request(raw));
    refusePromise(answer);
    if (answer instanceof Decision) return answer;
    throw new TypeError(`a policy must return allow() or deny(..), not ${describe(answer)}`);
  } catch (error) {
    logFailure(error);
    return deny(FAILURE.code, FAILURE.message, { hint: FAILURE.hint });
  }
}

function encode(decision) {
  if (decision.allowed) return { tag: "allow" };
  const { code, message, hint, resources } = decision;
  return { tag: "deny", val: { code, message, hint, resources: [...resources] } };
}
