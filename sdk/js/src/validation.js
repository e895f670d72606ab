// World manifest-validation: is this manifest acceptable?

import { Policy } from "./policy.js";
import { FAILURE, Question, defineInteger, defineJson, describe, logFailure, principal, refusePromise, text } from "./words.js";

export { log } from "./log.js";
export { SettingsError, settingsError } from "./settings.js";

export const WORLD = "manifest-validation";

export class Proposal extends Question {
  constructor(raw) {
    super(raw);
    this.change = raw.change;
    this.manifestText = raw.manifest;
    this.manifestSha256 = raw.manifestSha256;
    this.currentText = raw.current ?? null;
    this.currentVersions = Object.freeze(raw.currentVersions.map(version));
    this.proposer = raw.proposer === null || raw.proposer === undefined ? null : principal(raw.proposer);
    defineJson(this, "manifest", this.manifestText);
    defineJson(this, "current", this.currentText);
    Object.freeze(this);
  }
}

function version(raw) {
  const version = { name: raw.name };
  defineInteger(version, "securityVersion", raw.securityVersion);
  return Object.freeze(version);
}

export class Finding {
  constructor(severity, code, path, message, hint) {
    this.severity = severity;
    this.code = text(code, "code");
    this.path = text(path, "path");
    this.message = text(message, "message");
    this.hint = hint === undefined || hint === null ? null : text(hint, "hint");
    Object.freeze(this);
  }
}

export function error(code, path, message, { hint } = {}) {
  return new Finding("error", code, path, message, hint);
}

export function warning(code, path, message, { hint } = {}) {
  return new Finding("warning", code, path, message, hint);
}

/** The RFC 6901 pointer that leads through these keys. */
export function pointer(...keys) {
  return keys.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** Makes a policy of a function (a generator too); the module exports it by default. */
export function validator(validate, check) {
  return new Policy(WORLD, validate, check);
}

/** Asks a policy in the form of the component's world. Never throws. */
export function answer(policy, raw) {
  try {
    return findings(policy.decide(new Proposal(raw))).map((finding) => ({ ...finding }));
  } catch (failure) {
    logFailure(failure);
    return [{ severity: "error", code: FAILURE.code, path: "", message: FAILURE.message, hint: FAILURE.hint }];
  }
}

function findings(answer) {
  refusePromise(answer);
  if (answer === undefined || answer === null) return [];
  if (typeof answer !== "object" || typeof answer[Symbol.iterator] !== "function") {
    throw new TypeError(`a policy must return findings or nothing, not ${describe(answer)}`);
  }
  const all = [...answer];
  const other = all.find((finding) => !(finding instanceof Finding));
  if (other !== undefined || all.includes(undefined)) {
    throw new TypeError(`a policy must return findings made by error(..) or warning(..), not ${describe(other)}`);
  }
  return all;
}
