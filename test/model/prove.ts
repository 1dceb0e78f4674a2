// Random commands on random containers against a Map, for as long as one likes:
//   npm run prove:model -- --minutes 5 [--seed 1] [--steps 150]
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { tryCase } from "./cases.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string" },
    steps: { type: "string", default: "150" },
  },
});
const steps = Number(values.steps);
const first = values.seed === undefined ? randomInt(2 ** 30) : Number(values.seed);
const end = performance.now() + Number(values.minutes) * 60_000;
let cases = 0;
let failures = 0;
console.log(`seed ${first}, ${steps} commands in each container, ${values.minutes} minutes`);
do {
  const report = await tryCase(first + cases++, steps);
  if (report === undefined) continue;
  failures++;
  console.log(`FAILS: ${report}\n`);
} while (performance.now() < end);
console.log(`${cases} containers, ${cases * steps} commands, ${failures} failures`);
process.exitCode = failures === 0 ? 0 : 1;
