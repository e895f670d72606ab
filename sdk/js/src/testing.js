// Asks a policy natively, on the way that a component takes: the same conversions, the same catching of errors.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import * as admission from "./admission.js";
import * as authorization from "./authorization.js";
import { redirect } from "./log.js";
import { checkSettings } from "./settings.js";
import * as validation from "./validation.js";

const CONTEXT = { settings: null, now: 0, revision: 0, facts: {} };

const SHAPES = {
  [authorization.WORLD]: { answer: authorization.answer, raw: rawAuthorization },
  [admission.WORLD]: { answer: admission.answer, raw: rawAdmission },
  [validation.WORLD]: { answer: validation.answer, raw: rawProposal },
};

/** Asks a policy; `log` has the lines that it wrote, `level: text`. */
export function ask(policy, question = {}) {
  const { answer, raw } = SHAPES[policy.world];
  const lines = raw(question);
  return listening((log) => {
    const given = answer(policy, lines);
    if (policy.world === validation.WORLD) return { findings: given, log };
    const decision = given.tag === "allow" ? { allowed: true } : { allowed: false, ...given.val };
    return { ...decision, log };
  });
}

/** Asks a policy's check of settings: its errors, none if they are accepted. */
export function check(policy, settings) {
  return listening((log) => ({ errors: checkSettings(policy, JSON.stringify(settings)), log }));
}

/** The policy of a module; a TypeScript module is bundled first (needs the package's dependencies). */
export async function load(module) {
  const path = module instanceof URL ? fileURLToPath(module) : module;
  if (/\.m?js$/.test(path)) return (await import(path)).default;
  await readFile(path);
  const { bundle } = await import("../build.mjs");
  const sdk = /^@carrara\/policy\//;
  const { code } = await bundle({ entry: path, source: path, external: [sdk] });
  const here = new URL("./", import.meta.url);
  const linked = code.replaceAll(/(from\s*")@carrara\/policy\/(\w+)"/g, (_, from, name) => `${from}${here}${name}.js"`);
  return (await import(`data:text/javascript,${encodeURIComponent(linked)}`)).default;
}

function listening(work) {
  const log = [];
  const restore = redirect((level, message) => log.push(`${level}: ${message}`));
  try {
    return work(log);
  } finally {
    restore();
  }
}

/** Fills what is left out; a misspelt field would else test nothing. */
function filled(defaults, given, what) {
  for (const name of Object.keys(given)) {
    if (!(name in defaults)) throw new TypeError(`${what} has no field ${name}`);
  }
  return { ...defaults, ...given };
}

function split(question) {
  const { settings, now, revision, facts, ...rest } = question;
  const given = Object.entries({ settings, now, revision, facts }).filter(([, value]) => value !== undefined);
  return { context: rawContext(Object.fromEntries(given)), rest };
}

function rawContext(given) {
  const { settings, now, revision, facts } = filled(CONTEXT, given, "a context");
  return { settings: JSON.stringify(settings), now: integer(now), revision: integer(revision), facts: rawFacts(facts) };
}

/** As the runtime hands integers over: 64 bits as a signed number. */
function integer(value) {
  const number = BigInt(value);
  if (number < 0n || number >= 2n ** 64n) throw new RangeError(`${value} does not fit into 64 bits without a sign`);
  return Number(BigInt.asIntN(64, number));
}

function rawFacts(facts) {
  return Object.entries(facts).map(([name, value]) => ({ name, value: rawValue(value) }));
}

function rawValue(value) {
  if (typeof value === "string") return { tag: "text", val: value };
  if (typeof value === "boolean") return { tag: "truth", val: value };
  if (typeof value === "number" || typeof value === "bigint") return { tag: "number", val: integer(value) };
  if (value instanceof Uint8Array) return { tag: "bytes", val: value };
  if (Array.isArray(value)) return { tag: "texts", val: value };
  throw new TypeError("a fact is a text, a number, a truth, bytes or an array of texts");
}

function rawPrincipal(given) {
  const principal = filled({ name: "", certificateSha256: new Uint8Array(32), roles: [] }, given, "a principal");
  const role = { name: "", resourceType: "", resourceNames: [], actions: [] };
  return { ...principal, roles: principal.roles.map((its) => filled(role, its, "a role")) };
}

function rawAuthorization(question) {
  const { context, rest } = split(question);
  const defaults = { principal: {}, action: "", resourceType: "", resourceNames: [] };
  const request = filled(defaults, rest, "an authorization request");
  return { ...request, context, principal: rawPrincipal(request.principal) };
}

function rawAdmission(question) {
  const { context, rest } = split(question);
  const defaults = {
    marbleType: "", packageName: "", uuid: "", evidence: null, dnsNames: [], ipAddresses: [],
    activations: null, maxActivations: null,
  };
  const request = filled(defaults, rest, "an admission request");
  const counter = (value) => (value === null ? null : integer(value));
  const evidence = request.evidence === null ? null : rawEvidence(request.evidence);
  const [activations, maxActivations] = [counter(request.activations), counter(request.maxActivations)];
  return { ...request, context, evidence, activations, maxActivations };
}

function rawEvidence(given) {
  const defaults = { tee: "sgx", debug: false, tcbStatus: "UpToDate", advisories: [], identity: {} };
  const evidence = filled(defaults, given, "evidence");
  return { ...evidence, identity: rawFacts(evidence.identity) };
}

function rawProposal(question) {
  const { context, rest } = split(question);
  const defaults = {
    change: "initial", manifest: {}, manifestSha256: new Uint8Array(32), current: null, currentVersions: {}, proposer: null,
  };
  const proposal = filled(defaults, rest, "a proposal");
  const json = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const version = ([name, number]) => ({ name, securityVersion: integer(number) });
  return {
    ...proposal,
    context,
    manifest: json(proposal.manifest),
    current: proposal.current === null ? null : json(proposal.current),
    currentVersions: Object.entries(proposal.currentVersions).map(version),
    proposer: proposal.proposer === null ? null : rawPrincipal(proposal.proposer),
  };
}
