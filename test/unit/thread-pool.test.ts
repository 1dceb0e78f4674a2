import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { ThreadPool } from "../../src/thread-pool.ts";
import { temporaryFolder } from "../support/folders.ts";
import { threadsEnd } from "../support/threads.ts";

function echo(): URL {
  return programOf("(task) => parentPort.postMessage(task)");
}

/** A thread that does each task by a function. */
function programOf(onTask: string): URL {
  const file = join(temporaryFolder(), "thread.mjs");
  const pools = JSON.stringify(new URL("../../src/thread-pool.ts", import.meta.url));
  const text = `import { parentPort } from "node:worker_threads";\nimport { serveTasks } from ${pools};\nserveTasks(${onTask});\n`;
  writeFileSync(file, text);
  return pathToFileURL(file);
}

/** Until a thread runs; the process has something to do meanwhile. */
async function ready(pool: ThreadPool<number, number>): Promise<void> {
  for (let waits = 0; pool.width === 0 && waits < 5000; waits++) {
    pool.start();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

// The threads of an iteration that somebody had forgotten were there until the process ended.
test("threads that have nothing to do are ended, and started anew when there is more", async () => {
  const here = (): Promise<number> => Promise.resolve(-1);
  const pool = new ThreadPool<number, number>({ program: echo(), threads: 2, here, idleEndMs: 50 });
  for (const round of [1, 2]) {
    await ready(pool);
    assert.equal(await pool.run(round), round);
    assert.ok(await threadsEnd());
    assert.deepEqual([pool.size, pool.width], [0, 0]);
    assert.equal(await pool.run(round), -1);
  }
  pool[Symbol.dispose]();
});

test("threads that are busy for longer than that are not ended", async () => {
  const program = programOf("(task) => setTimeout(() => parentPort.postMessage(task), 100)");
  const here = (): Promise<number> => Promise.resolve(-1);
  using pool = new ThreadPool<number, number>({ program, threads: 1, here, idleEndMs: 5 });
  let result = -1;
  // It may be ended before it has got the task.
  for (let attempt = 0; attempt < 50 && result < 0; attempt++) {
    await ready(pool);
    result = await pool.run(7);
  }
  assert.equal(result, 7);
});
