// World role-authorization: may this user do this?

import { decide } from "./decision.js";
import { Policy } from "./policy.js";
import { Question, principal } from "./words.js";

export { allow, deny, Decision } from "./decision.js";
export { log } from "./log.js";
export { SettingsError, settingsError } from "./settings.js";

export const WORLD = "role-authorization";

export class Request extends Question {
  constructor(raw) {
    super(raw);
    this.principal = principal(raw.principal);
    this.action = raw.action;
    this.resourceType = raw.resourceType;
    this.resourceNames = raw.resourceNames;
    Object.freeze(this);
  }
}

/** Makes a policy of a function; the module exports it by default. */
export function authorizer(authorize, check) {
  return new Policy(WORLD, authorize, check);
}

/** Asks a policy in the form of the component's world. */
export function answer(policy, raw) {
  return decide(policy, Request, raw);
}
