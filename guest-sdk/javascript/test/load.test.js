import assert from "node:assert/strict";
import { test } from "node:test";

import { ABSENT, load } from "../src/load.js";
import { functionsLeftOut } from "../src/registry.js";

function failing(stack, changes = {}) {
  return () => {
    throw Object.assign(new TypeError("broken"), { stack: `TypeError: broken\n    at f (${stack}:1:2)\n    at g (/app/src/x.js:3:4)`, ...changes });
  };
}

test("what cannot be loaded here is left out, and an error of the app is one", () => {
  load("fine", () => {});
  load("a.js", failing("/app/src/a.js", { name: ABSENT, message: "the module 'os' of Node.js does not exist here" }));
  load("b.js", failing("/app/node_modules/b/index.js"));
  assert.throws(() => load("c.js", failing("/app/src/c.js")), TypeError);
  assert.throws(() => load("d.js", () => {
    throw "no error";
  }), (thrown) => thrown === "no error");
  const left = functionsLeftOut();
  assert.deepEqual(left.map(({ name }) => name), ["a.js", "b.js"]);
  assert.match(left[0].why, /^it needs what cannot be loaded here: the module 'os'/);
  assert.match(left[1].why, /broken at f \(.*node_modules\/b\/index\.js/);
});
