// The check of a policy entry's Settings, which the coordinator asks for when a manifest is set.

import { FAILURE, describe, logFailure, refusePromise, text } from "./words.js";

const MAX_U32 = 0xffff_ffff;

// What the other SDKs say, too.
const NO_SETTINGS = "this policy has no settings";
const NO_SETTINGS_HINT = "remove Settings from this entry of Policies";

export class SettingsError extends Error {
  constructor(message, { line = 1, column = 1, hint } = {}) {
    super(text(message, "message"));
    this.name = "SettingsError";
    this.line = place(line, "line");
    this.column = place(column, "column");
    this.hint = hint === undefined || hint === null ? null : text(hint, "hint");
  }
}

export function settingsError(message, place) {
  return new SettingsError(message, place);
}

function place(number, what) {
  if (!Number.isInteger(number) || number < 0 || number > MAX_U32) {
    throw new TypeError(`${what} must be an integer from 0 to 2^32 - 1, not ${String(number)}`);
  }
  return number;
}

/** Asks the policy's check; a policy without one takes `null` and `{}` only. The errors in the form of the component's world; none means accepted. */
export function checkSettings(policy, settings) {
  let value;
  try {
    value = JSON.parse(settings);
  } catch (error) {
    const { line, column } = position(settings);
    return [{ line, column, message: `the settings are no JSON: ${error.message}`, hint: null }];
  }
  if (policy.check === undefined) return isNothing(value) ? [] : [plain(settingsError(NO_SETTINGS, { hint: NO_SETTINGS_HINT }))];
  try {
    return listed(policy.check(value)).map(plain);
  } catch (error) {
    if (error instanceof SettingsError) return [plain(error)];
    logFailure(error);
    return [{ line: 1, column: 1, message: FAILURE.message, hint: FAILURE.hint }];
  }
}

function isNothing(value) {
  return value === null || (typeof value === "object" && !Array.isArray(value) && Object.keys(value).length === 0);
}

function listed(answer) {
  refusePromise(answer);
  if (answer === undefined || answer === null) return [];
  if (answer instanceof SettingsError) return [answer];
  if (typeof answer !== "object" || typeof answer[Symbol.iterator] !== "function") {
    throw new TypeError(`a check of settings must return settings errors or nothing, not ${describe(answer)}`);
  }
  return [...answer];
}

function plain(error) {
  if (!(error instanceof SettingsError)) {
    throw new TypeError(`a check of settings must return settings errors, not ${describe(error)}`);
  }
  return { line: error.line, column: error.column, message: error.message, hint: error.hint };
}

const TOKEN = /[ \t\n\r]+|[{}[\]:,]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Where a text stops being JSON, from 1, in code points. Only the first wrong token counts, or the text's end. */
function position(source) {
  const at = wrong(source);
  const lines = source.slice(0, at).split("\n");
  return { line: lines.length, column: [...lines.at(-1)].length + 1 };
}

function wrong(source) {
  // What may come: a value, a value or the list's end, a key or the object's end, a key, a colon, a comma or an end.
  const open = [];
  let expected = "value";
  for (let at = 0; at < source.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(source)?.[0];
    if (token === undefined) return at;
    if (/^[ \t\n\r]/.test(token)) continue;
    expected = follow(expected, token, open);
    if (expected === undefined) return at;
  }
  return source.length;
}

/** What may come after a token; undefined where the token itself may not. */
function follow(expected, token, open) {
  const after = () => (open.length === 0 ? "end" : "comma");
  if (token === "}" || token === "]") {
    const allowed = expected === "comma" || expected === (token === "}" ? "first key" : "first value");
    return allowed && open.pop() === token ? after() : undefined;
  }
  if (token === ",") return expected !== "comma" ? undefined : open.at(-1) === "}" ? "key" : "value";
  if (token === ":") return expected === "colon" ? "value" : undefined;
  if (expected === "key" || expected === "first key") return token[0] === '"' ? "colon" : undefined;
  if (expected !== "value" && expected !== "first value") return undefined;
  if (token === "{") return open.push("}") && "first key";
  if (token === "[") return open.push("]") && "first value";
  return after();
}
