import assert from "node:assert/strict";
import { test } from "node:test";
import { checkSettings } from "../src/settings.js";

const place = (source) => checkSettings({}, source).map((error) => [error.line, error.column])[0];

test("text that is no JSON is refused where it stops being JSON", () => {
  for (const [source, line, column] of [
    ['{\n  "do": }', 2, 9],
    ['{"do":', 1, 7],
    ["", 1, 1],
    ["{'a'}", 1, 2],
    ["[1,]", 1, 4],
    ["[1 2]", 1, 4],
    ['{"a":1,}', 1, 8],
    ['{"a" 1}', 1, 6],
    ["nul", 1, 1],
    ["null null", 1, 6],
    ['"𝄞" x', 1, 5],
    ["[1}", 1, 3],
  ]) {
    assert.deepEqual(place(source), [line, column], source);
  }
});

test("every kind of JSON comes to the check", () => {
  for (const source of ["null", " 1.5e-3 ", '"\\u0065"', '{"a":{"b":[1,true,[],{}]},"c":""}', "[]", "{}"]) {
    assert.deepEqual(checkSettings({ check: () => [] }, source), [], source);
  }
});

test("without a check null and an empty object are accepted and nothing else", () => {
  for (const source of ["null", " null\n", "{}", "{ }"]) {
    assert.deepEqual(checkSettings({}, source), [], source);
  }
  for (const source of ['{"a":1}', "[]", "0", "false", '""']) {
    const [error] = checkSettings({}, source);
    assert.deepEqual([error.line, error.column, error.message], [1, 1, "this policy has no settings"], source);
  }
});
