// Threads that compressed or verified were terminated by whoever aborted. Where one was just making a codec, Node 24 ended the whole
// process by an assertion ("close before init"; about one of 80 threads that do nothing else), so they are told to end instead.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { prose } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";
import { threadsEnd, threadsRun } from "../support/threads.ts";

const COUNT = 12_000;

function* contents(): Generator<Uint8Array> {
  for (let i = 0; i < COUNT; i++) yield prose(1000 + (i % 500), i);
}

test("threads that work when a call is aborted come to their own end", async (t: TestContext) => {
  const { mock } = t.mock.method(Worker.prototype, "terminate");
  const { container } = await newContainer();
  await Array.fromAsync(container.insertMany(contents(), { to: "packed", durability: "process", threads: 1 }));
  for (const work of ["repack", "validate"] as const) {
    const controller = new AbortController();
    const { signal } = controller;
    const onProgress = (): void => {
      if (threadsRun()) controller.abort(new Error("enough"));
    };
    const options = { threads: 3, signal, onProgress };
    const working =
      work === "validate"
        ? container.validate(options)
        : container.repack({ ...options, all: true, compression: "zstd:+1" });
    await assert.rejects(working, /enough/);
    assert.ok(await threadsEnd());
  }
  assert.equal(mock.callCount(), 0);
  await container.close();
});
