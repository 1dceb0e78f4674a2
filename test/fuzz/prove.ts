// Fuzzes all parsers for as long as one likes:
//   npm run prove:fuzz -- --minutes 5 [--seed 1] [--target NAME]
// What is found is shortened, and kept in test/fuzz/corpus as a regression test. A case that does not end is named by a watchdog.
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { addToCorpus } from "./corpus.ts";
import { type Finding, fuzzOnce, shrunk } from "./fuzzer.ts";
import type { Target } from "./target.ts";
import { targets } from "./targets.ts";

interface Job {
  readonly minutes: number;
  readonly seed: number;
  readonly target?: string | undefined;
  /** Index of the target, iteration, cases so far, findings so far: written by the worker, read by the watchdog. */
  readonly state: Int32Array;
}

const STALL_MS = 30_000;
/** Findings of one target that are reported; many have the same cause. */
const FINDINGS_MAX = 5;

async function work({ minutes, seed, target: only, state }: Job): Promise<void> {
  const chosen = targets.filter(({ name }) => only === undefined || name === only);
  const end = performance.now() + minutes * 60_000;
  const counts = new Map<string, { cases: number; findings: number }>(
    chosen.map(({ name }) => [name, { cases: 0, findings: 0 }]),
  );
  while (performance.now() < end) {
    for (const target of chosen) {
      const count = counts.get(target.name) as { cases: number; findings: number };
      for (let left = Math.ceil(2000 / (target.cost ?? 1)); left > 0; left--) {
        state.set([targets.indexOf(target), count.cases]);
        const finding = await fuzzOnce(target, seed, count.cases++);
        Atomics.add(state, 2, 1);
        if (finding === undefined || ++count.findings > FINDINGS_MAX) continue;
        Atomics.add(state, 3, 1);
        await report(target, finding);
      }
    }
  }
  for (const [name, { cases, findings }] of counts) console.log(`${name}: ${cases} cases, ${findings} findings`);
}

async function report(target: Target, finding: Finding): Promise<void> {
  const path = addToCorpus(target.name, await shrunk(target, finding));
  console.log(`FOUND by ${target.name}, seed ${finding.seed}, case ${finding.iteration}; kept as ${path}`);
  console.log(finding.error);
}

function main(): void {
  const { values } = parseArgs({
    options: { minutes: { type: "string", default: "1" }, seed: { type: "string" }, target: { type: "string" } },
  });
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  const state = new Int32Array(new SharedArrayBuffer(16));
  console.log(`seed ${seed}, ${targets.length} targets, ${values.minutes} minutes`);
  const job: Job = { minutes: Number(values.minutes), seed, target: values.target, state };
  const worker = new Worker(new URL(import.meta.url), { workerData: job });
  let cases = 0;
  let movedAt = performance.now();
  const watchdog = setInterval(() => {
    const now = Atomics.load(state, 2);
    if (now !== cases) {
      cases = now;
      movedAt = performance.now();
    } else if (performance.now() - movedAt > STALL_MS) {
      console.log(`HANGS: ${targets[state[0] as number]?.name}, seed ${seed}, case ${state[1]}`);
      process.exit(1);
    }
  }, 1000);
  worker.on("exit", (code) => {
    clearInterval(watchdog);
    const [, , total, findings] = state;
    console.log(`${total} cases, ${findings} findings`);
    process.exitCode = code === 0 && findings === 0 ? 0 : 1;
  });
}

if (isMainThread) {
  main();
} else {
  await work(workerData as Job);
}
