import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryFolder } from "./folders.ts";

const WAIT_MS = 10_000;

/** Threads that were started since this was loaded, and have not ended. */
let running = 0;
process.on("worker", (worker) => {
  running++;
  worker.once("exit", () => running--);
});

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
