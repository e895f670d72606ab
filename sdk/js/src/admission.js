// World marble-admission: may this Marble be activated?

import { decide } from "./decision.js";
import { Policy } from "./policy.js";
import { Evidence, Question, defineInteger } from "./words.js";

export { allow, deny, Decision } from "./decision.js";
export { log } from "./log.js";
export { SettingsError, settingsError } from "./settings.js";

export const WORLD = "marble-admission";

export class Request extends Question {
  constructor(raw) {
    super(raw);
    this.marbleType = raw.marbleType;
    this.packageName = raw.packageName;
    this.uuid = raw.uuid;
    this.evidence = raw.evidence === null || raw.evidence === undefined ? null : new Evidence(raw.evidence);
    this.dnsNames = raw.dnsNames;
    this.ipAddresses = raw.ipAddresses;
    defineInteger(this, "activations", raw.activations ?? null);
    defineInteger(this, "maxActivations", raw.maxActivations ?? null);
    Object.freeze(this);
  }
}

/** Makes a policy of a function; the module exports it by default. */
export function admitter(admit, check) {
  return new Policy(WORLD, admit, check);
}

/** Asks a policy in the form of the component's world. */
export function answer(policy, raw) {
  return decide(policy, Request, raw);
}
