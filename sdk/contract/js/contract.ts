// What the contract policies of all worlds share: words, the echo text, the check of settings. See ../README.md.

import {
  type Context, type Fact, type FactValue, type Principal, type Role, type SettingsError, log, settingsError,
} from "@carrara/policy/authorization";

const WORDS = ["echo", "allow", "plain", "several", "facts", "log", "count", "fail", "error"];

let counter = 0;

/** What the settings say to do. */
export function word(settings: any): string {
  if (settings === null) return "echo";
  return typeof settings === "string" ? settings.split("\n").at(-1)!.trim() : settings.do;
}

/** One more than before; every call begins anew. */
export function count(): string {
  counter += 1;
  return String(counter);
}

export function fail(): never {
  throw new Error("contract: it broke ✓");
}

export function writeLog(): void {
  log.debug("a debug line");
  log.info("an info line");
  log.warn("a warning ✓");
}

export function* check(settings: any): Iterable<SettingsError> {
  if (typeof settings === "string") {
    yield* unknownWords(settings);
  } else if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) {
    for (const key of Object.keys(settings).filter((key) => key !== "do")) {
      yield settingsError(`unknown key: ${key}`, { hint: "the only key is do" });
    }
    if ("do" in settings && !WORDS.includes(settings.do)) yield settingsError("do must be a word");
  } else if (settings !== null) {
    yield settingsError("Settings must be a text or an object", { hint: 'write "echo"' });
  }
}

function* unknownWords(text: string): Iterable<SettingsError> {
  for (const [index, line] of text.split("\n").entries()) {
    const found = line.trim();
    if (found === "refuse") throw new Error("contract: the check broke");
    if (found === "" || WORDS.includes(found)) continue;
    const column = [...line.slice(0, line.indexOf(found))].length + 1;
    yield settingsError(`unknown word: ${found}`, { line: index + 1, column });
  }
}

export function text(value: string): string {
  const shown = (it: string) => `\\x${it.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return `<${value.replaceAll(/[\u0000-\u001f\u007f]/g, shown)}>`;
}

export function listed<T>(show: (value: T) => string, values: readonly T[]): string {
  return `[${values.map((value) => show(value)).join(",")}]`;
}

export function texts(values: readonly string[]): string {
  return listed(text, values);
}

export function optional<T>(show: (value: T) => string, value: T | null): string {
  return value === null ? "none" : `some(${show(value)})`;
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function value(it: FactValue): string {
  if (typeof it === "boolean") return `truth ${it}`;
  if (typeof it === "number" || typeof it === "bigint") return `number ${it}`;
  if (typeof it === "string") return `text${text(it)}`;
  return it instanceof Uint8Array ? `bytes ${hex(it)}` : `texts${texts(it)}`;
}

export function fact(it: Fact): string {
  return `${text(it.name)}=${value(it.value)}`;
}

export function lookedUp(question: { fact(name: string): FactValue | undefined }): string {
  const found = question.fact("secret-last-set:token");
  return found === undefined ? "none" : value(found);
}

function role(it: Role): string {
  return `${text(it.name)} ${text(it.resourceType)} ${texts(it.resourceNames)} ${texts(it.actions)}`;
}

export function principal(it: Principal): string {
  return `${text(it.name)} ${hex(it.certificateSha256)} ${listed(role, it.roles)}`;
}

export function context(it: Context): string {
  return `settings${text(it.settingsText)} now ${it.now} revision ${it.revision} facts${listed(fact, it.facts)}`;
}
