import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../support/seeded.ts";
import { readCorpus } from "./corpus.ts";
import { failureOf, fuzzOnce, shrunk } from "./fuzzer.ts";
import { targets } from "./targets.ts";

/** Cases of a target that costs 1. */
const CASES = 1000;

test("every input that was once taken wrongly is taken right", async () => {
  const corpus = readCorpus();
  assert.ok(corpus.length > 5);
  for (const { target: name, name: file, input } of corpus) {
    const target = targets.find((each) => each.name === name);
    assert.ok(target !== undefined, `no target ${name}`);
    const error = await failureOf(target, input);
    assert.equal(error, undefined, `${name}/${file}: ${(error as Error | undefined)?.stack}`);
  }
});

for (const target of targets) {
  const cases = Math.ceil(CASES / (target.cost ?? 1));
  seeded(`whatever the input, a coded error or a right value: ${target.name}`, async (seed) => {
    for (let iteration = 0; iteration < cases; iteration++) {
      const finding = await fuzzOnce(target, seed, iteration);
      if (finding === undefined) continue;
      const input = Buffer.from(await shrunk(target, finding));
      throw new Error(
        `case ${iteration}, ${JSON.stringify(input.toString("latin1"))}: ${(finding.error as Error).message}`,
        { cause: finding.error },
      );
    }
  });
}
