import assert from "node:assert/strict";
import { test } from "node:test";
import { allow, authorizer, deny, log, settingsError } from "../src/authorization.js";
import { ask, check } from "../src/testing.js";

test("a policy allows and denies with all that it says", () => {
  const policy = authorizer((request) => {
    if (request.principal.name === "alice") return allow();
    return deny("nobody-else", "only alice", { hint: "ask alice", resources: request.resourceNames });
  });
  assert.deepEqual(ask(policy, { principal: { name: "alice" } }), { allowed: true, log: [] });
  const resourceNames = ["a", "ü"];
  const denied = ask(policy, { principal: { name: "bob" }, resourceNames });
  const expected = { code: "nobody-else", message: "only alice", hint: "ask alice", resources: resourceNames };
  assert.deepEqual(denied, { allowed: false, ...expected, log: [] });
});

test("an uncaught error denies; its text is in the log and not in the answer", () => {
  for (const [thrown, line] of [
    [new TypeError("it broke ✓"), "warn: TypeError: it broke ✓"],
    ["a text", "warn: it threw a text"],
    [undefined, "warn: it threw undefined"],
    [Object.create(null), "warn: it threw something that cannot be shown"],
  ]) {
    const policy = authorizer(() => {
      throw thrown;
    });
    const denied = ask(policy);
    assert.deepEqual(denied.log, [line]);
    assert.deepEqual(
      [denied.allowed, denied.code, denied.message, denied.hint],
      [false, "policy-error", "the policy failed", "the coordinator's log says why"],
    );
  }
});

test("only allow() allows: other answers are errors of the policy", () => {
  for (const answer of [true, undefined, null, "allow", { tag: "allow" }, { allowed: true }, Promise.resolve(allow()), allow]) {
    const denied = ask(authorizer(() => answer));
    assert.equal(denied.code, "policy-error", String(answer));
    assert.match(denied.log[0], /TypeError/);
  }
  for (const make of [() => deny("", ""), () => deny(1, "x"), () => deny("c", "m", { resources: [1] })]) {
    assert.equal(ask(authorizer(make)).code, "policy-error");
  }
});

test("settings, time and facts reach the policy as what they are", () => {
  let seen;
  const policy = authorizer((request) => {
    seen = request;
    return allow();
  });
  const facts = { number: 5, text: "x", truth: false, bytes: new Uint8Array([0, 255]), texts: ["a", ""] };
  ask(policy, { settings: { a: [1] }, now: 7, revision: 8, facts });
  assert.deepEqual(seen.settings, { a: [1] });
  assert.equal(seen.context.settingsText, '{"a":[1]}');
  assert.deepEqual([seen.context.now, seen.context.revision], [7, 8]);
  for (const [name, value] of Object.entries(facts)) assert.deepEqual(seen.fact(name), value);
  assert.equal(seen.fact("other"), undefined);
});

test("integers are exact or throw when they are read", () => {
  const fact = (value) => {
    let seen;
    const answer = ask(authorizer((request) => {
      seen = request.fact("n");
      return allow();
    }), { facts: { n: value } });
    return answer.allowed ? seen : answer.log[0];
  };
  assert.equal(fact(2 ** 53 - 1), 2 ** 53 - 1);
  assert.equal(fact(2n ** 64n - 1n), 2n ** 64n - 1n);
  assert.equal(fact(2n ** 64n - 2n ** 53n + 1n), 2n ** 64n - 2n ** 53n + 1n);
  for (const rounded of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 2n ** 53n]) {
    assert.match(fact(rounded), /RangeError: value lies between/, String(rounded));
  }
  // What the policy does not read does not disturb it.
  assert.equal(ask(authorizer(() => allow()), { now: 2n ** 60n, facts: { n: 2n ** 60n } }).allowed, true);
});

test("halves of surrogate pairs are replaced", () => {
  assert.equal(ask(authorizer(() => deny("c", "\ud800x"))).message, "\ufffdx");
});

test("the log has the levels in order", () => {
  const policy = authorizer(() => {
    log.debug("d");
    log.info(1);
    log.warn("w ✓");
    return allow();
  });
  assert.deepEqual(ask(policy).log, ["debug: d", "info: 1", "warn: w ✓"]);
});

test("settings are checked, with places", () => {
  const policy = authorizer(() => allow(), (settings) => {
    if (settings === "throw") throw settingsError("thrown", { line: 2, column: 3, hint: "h" });
    if (settings === "break") throw new Error("broken");
    if (settings === "one") return settingsError("one");
    if (settings === "wrong") return ["text"];
    if (settings === "bool") return false;
    return Array.isArray(settings) ? settings.map((message, index) => settingsError(message, { line: index + 1 })) : undefined;
  });
  assert.deepEqual(check(policy, null).errors, []);
  assert.deepEqual(check(policy, "throw").errors, [{ line: 2, column: 3, message: "thrown", hint: "h" }]);
  assert.deepEqual(check(policy, "one").errors, [{ line: 1, column: 1, message: "one", hint: null }]);
  assert.deepEqual(check(policy, ["a", "b"]).errors.map((error) => [error.line, error.message]), [[1, "a"], [2, "b"]]);
  for (const settings of ["break", "wrong", "bool"]) {
    const { errors, log } = check(policy, settings);
    assert.deepEqual(errors.map((error) => error.message), ["the policy failed"], settings);
    assert.equal(log.length, 1);
  }
  assert.match(check(policy, "break").log[0], /broken/);
});

test("a question with a misspelt field is an error of the test", () => {
  assert.throws(() => ask(authorizer(() => allow()), { acton: "x" }), /no field acton/);
  assert.throws(() => ask(authorizer(() => allow()), { principal: { nme: "x" } }), /no field nme/);
});
