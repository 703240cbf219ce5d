import assert from "node:assert/strict";
import test from "node:test";

import { clock, createPace } from "../../../web/pace.mjs";

const event = (done, said = {}) => ({ phase: "models", done, total: 100, unit: "bytes", ...said });

test("the time that is left follows the speed since the phase was first seen", () => {
  const pace = createPace();
  assert.equal(pace(event(10), 0), null);
  assert.equal(pace(event(11), 500), null, "too early to say");
  assert.equal(pace(event(30), 2000), 7);
  assert.equal(pace(event(100), 9000), 0);
});

test("a second export begins anew, and items have no speed", () => {
  const pace = createPace();
  pace(event(90), 0);
  assert.equal(pace(event(5), 60_000), null);
  assert.equal(pace(event(15), 62_000), 17);
  assert.equal(pace(event(5, { unit: "items" }), 70_000), null);
});

test("a clock", () => assert.deepEqual([0, 65, 3600].map(clock), ["0:00", "1:05", "60:00"]));
