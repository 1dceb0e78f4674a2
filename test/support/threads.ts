import { subscribe } from "node:diagnostics_channel";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { temporaryFolder } from "./folders.ts";

const WAIT_MS = 10_000;
const STARTING_MS = 5;

/** Threads that were started since this was loaded, and have not ended; those of them that do not run yet; tasks that they have done. */
let running = 0;
let starting = 0;
let answers = 0;
subscribe("worker_threads", (message) => {
  const { worker } = message as { readonly worker: Worker };
  running++;
  starting++;
  let isStarting = true;
  const hasStarted = (): void => {
    if (isStarting) starting--;
    isStarting = false;
  };
  worker.once("online", hasStarted);
  worker.on("message", () => answers++);
  worker.once("exit", () => {
    hasStarted();
    running--;
  });
});

/** How many tasks threads have done since this was loaded. */
export function tasksDone(): number {
  return answers;
}

/** While threads start, sleeps a little: otherwise all would be done before they run, unless it is very much. */
export function waitABit(): void {
  if (starting > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STARTING_MS);
}

/** A signal, which is never aborted unless it is given, by which work that looks at it for each object goes on slowly while threads start. */
export function patientSignal(signal: AbortSignal = new AbortController().signal): AbortSignal {
  signal.throwIfAborted = () => {
    waitABit();
    AbortSignal.prototype.throwIfAborted.call(signal);
  };
  return signal;
}

export function threadsRun(): boolean {
  return running > 0;
}

export async function threadsEnd(): Promise<boolean> {
  for (const end = Date.now() + WAIT_MS; threadsRun(); await sleep(5)) if (Date.now() > end) return false;
  return true;
}

/** A thread that does not start, one that fails at once, and one that fails at its third task. */
export function brokenPrograms(): URL[] {
  const file = join(temporaryFolder(), "broken.mjs");
  writeFileSync(
    file,
    "import { parentPort } from 'node:worker_threads';\nparentPort.on('message', () => { throw new Error('broken'); });\n",
  );
  const late = join(temporaryFolder(), "late.mjs");
  const worker = JSON.stringify(new URL("../../src/store/encode-worker.ts", import.meta.url));
  writeFileSync(
    late,
    `import { parentPort } from "node:worker_threads";\nimport ${worker};\nlet tasks = 0;\nparentPort.on("message", () => { if (++tasks === 3) throw new Error("broken"); });\n`,
  );
  return ["file:///no/such/program.mjs", `file://${file}`, `file://${late}`].map((url) => new URL(url));
}
