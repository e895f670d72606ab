import assert from "node:assert/strict";
import { test } from "node:test";
import { admitter, allow, deny } from "../src/admission.js";
import { ask } from "../src/testing.js";

test("evidence and counters reach the policy, absent ones as null", () => {
  let seen;
  const policy = admitter((request) => {
    seen = request;
    return request.evidence?.debug ? deny("debug", "no debug enclaves") : allow();
  });
  const identity = { "product-id": 7, "unique-id": new Uint8Array([1]) };
  const debug = ask(policy, { marbleType: "m", evidence: { debug: true, identity }, activations: 0, maxActivations: 2n ** 64n - 1n });
  assert.equal(debug.code, "debug");
  assert.equal(seen.evidence.fact("product-id"), 7);
  assert.deepEqual([seen.evidence.tee, seen.evidence.tcbStatus, seen.evidence.identity.length], ["sgx", "UpToDate", 2]);
  assert.deepEqual([seen.activations, seen.maxActivations], [0, 2n ** 64n - 1n]);
  assert.equal(ask(policy, { dnsNames: ["d"] }).allowed, true);
  assert.deepEqual([seen.evidence, seen.activations, seen.maxActivations, seen.dnsNames], [null, null, null, ["d"]]);
});
