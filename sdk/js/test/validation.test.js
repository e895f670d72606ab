import assert from "node:assert/strict";
import { test } from "node:test";
import { error, pointer, validator, warning } from "../src/validation.js";
import { ask } from "../src/testing.js";

test("findings keep their order, from arrays and generators", () => {
  const findings = (function* () {
    yield error("E-1", pointer("Packages", "a/b~"), "first", { hint: "do this" });
    yield warning("W-1", "", "second");
  });
  const expected = [
    { severity: "error", code: "E-1", path: "/Packages/a~1b~0", message: "first", hint: "do this" },
    { severity: "warning", code: "W-1", path: "", message: "second", hint: null },
  ];
  assert.deepEqual(ask(validator(findings)).findings, expected);
  assert.deepEqual(ask(validator(() => [...findings()])).findings, expected);
  assert.deepEqual(ask(validator(() => {})).findings, []);
});

test("a policy that fails half-way refuses the manifest", () => {
  const policy = validator(function* () {
    yield warning("W", "", "found");
    throw new Error("it broke");
  });
  const { findings, log } = ask(policy);
  assert.deepEqual(findings.map((finding) => [finding.severity, finding.code, finding.path]), [["error", "policy-error", ""]]);
  assert.deepEqual(log, ["warn: Error: it broke"]);
});

test("what is no finding refuses the manifest", () => {
  for (const answer of [true, "text", [undefined], [{ severity: "warning" }], ["x"], Promise.resolve([])]) {
    const { findings } = ask(validator(() => answer));
    assert.deepEqual(findings.map((finding) => finding.code), ["policy-error"], String(answer));
  }
});

test("manifests are parsed once they are read; versions and the proposer are there", () => {
  let seen;
  const policy = validator((proposal) => {
    seen = proposal;
  });
  const question = {
    change: "full-update", manifest: { Packages: {} }, current: "{}", currentVersions: { web: 3 },
    proposer: { name: "alice", roles: [{ name: "r", actions: ["UpdateManifest"] }] },
  };
  assert.deepEqual(ask(policy, question).findings, []);
  assert.deepEqual([seen.change, seen.manifest, seen.current], ["full-update", { Packages: {} }, {}]);
  assert.deepEqual({ ...seen.currentVersions[0] }, { name: "web", securityVersion: 3 });
  assert.deepEqual(seen.proposer.roles[0].actions, ["UpdateManifest"]);
  assert.equal(ask(policy, {}).findings.length, 0);
  assert.deepEqual([seen.current, seen.proposer], [null, null]);
  // A manifest that nobody reads need not be JSON.
  assert.deepEqual(ask(policy, { manifest: "no JSON" }).findings, []);
  assert.throws(() => seen.manifest, SyntaxError);
});
