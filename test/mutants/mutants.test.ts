import assert from "node:assert/strict";
import { test } from "node:test";
import { mutants } from "./mutants.ts";
import { mutated } from "./run.ts";

test("each deliberate bug still finds its place in the sources (what catches it: npm run prove:mutants)", () => {
  assert.ok(mutants.length >= 8);
  assert.equal(new Set(mutants.map(({ bug }) => bug)).size, mutants.length);
  for (const mutant of mutants) assert.notEqual(mutated(mutant), "", mutant.bug);
});
