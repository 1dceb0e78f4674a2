import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { cliTest, finish, firstLine, json, lines } from "./support.ts";

for (const [signal, expected] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  cliTest(
    `${signal} while add waits for its input: what was printed is stored, nothing is left behind`,
    async (work) => {
      await work.container();
      work.write("file", "content");
      const child = work.start(["add", "file", "-", "--to", "packed"]);
      const printed = await firstLine(child);
      child.stdin.write("the beginning of something");
      await sleep(50);
      child.kill(signal);
      const { code, stdout, stderr } = await finish(child);
      assert.deepEqual([code, stdout], [expected, ""]);
      assert.match(stderr, /^tsdos: interrupted/);
      assert.deepEqual(await work.allKeys(), [printed.slice(0, 64)]);
      assert.deepEqual(work.leftovers(), []);
      assert.ok(await work.isValid());
    },
  );
}

cliTest("SIGINT in the middle of add -r and of pack leaves a store that goes on from there", async (work) => {
  await work.container();
  for (let file = 0; file < 1500; file++) work.write(`tree/${file % 10}/${file}`, `content ${file}`.repeat(300));
  const child = work.start(["add", "-r", "tree", "--manifest", "manifest"]);
  const first = await firstLine(child);
  child.kill("SIGINT");
  const { code, stdout } = await finish(child);
  assert.ok(code === 130 || code === 0, `exit code ${code}`);
  const present = new Set(await work.allKeys());
  for (const line of lines(first + stdout)) assert.ok(present.has(line.slice(0, 64)), line);
  assert.deepEqual(
    readdirSync(work.folder).toSorted(),
    code === 0 ? ["container", "manifest", "tree"] : ["container", "tree"],
  );
  assert.deepEqual(work.leftovers(), []);
  assert.equal((await work.run(["add", "-r", "tree"])).code, 0);
  const packing = work.start(["pack"]);
  await sleep(250);
  packing.kill("SIGINT");
  const packed = await finish(packing);
  assert.ok(packed.code === 130 || packed.code === 0, packed.stderr);
  assert.equal((await work.allKeys()).length, 1500);
  assert.ok(await work.isValid());
  assert.equal((await work.run(["pack"])).code, 0);
});

cliTest("a reader that goes away ends a listing quietly, and does not stop work", async (work) => {
  const [large = ""] = await work.container(["0123456789".repeat(500_000)]);
  for (let file = 0; file < 1500; file++) work.write(`tree/${file}`, `content ${file}`);
  const head = work.shell(`set -o pipefail; tsdos cat ${large} | head -c 5`);
  assert.deepEqual(head, { code: 0, stdout: "01234", stderr: "" });
  const add = work.shell("set -o pipefail; tsdos add -r tree --durability process | head -n 1");
  assert.deepEqual([add.code, add.stderr], [0, ""]);
  assert.equal((await work.allKeys()).length, 1501);
  const has = work.shell(
    `set -o pipefail; (cat; echo ${"0".repeat(64)}) < <(tsdos ls) | tsdos has --from-file - | true`,
  );
  assert.deepEqual([has.code, has.stderr], [3, ""]);
});

cliTest("a slow reader does not make the program hold what it will say", async (work) => {
  const [key = ""] = await work.container(["0123456789".repeat(6_000_000)]);
  const child = work.start(["cat", key, key, key]);
  await once(child.stdout, "readable");
  await sleep(700);
  const { stdout } = work.shell(`grep VmHWM /proc/${child.pid}/status`);
  const peakMiB = Number(/\d+/.exec(stdout)?.[0] ?? 0) / 1024;
  assert.ok(peakMiB < 200, `peak ${peakMiB} MiB of 180 MB of output`);
  const received = await finish(child);
  assert.equal(received.code, 0);
});

cliTest("a store that another process is packing is exit code 5, with who holds it", async (work) => {
  await work.container(["content"]);
  const holder = work.start(["add", "first", "-", "--to", "packed"]);
  work.write("first", "x");
  assert.ok(holder.pid);
  const started = Date.now();
  await sleep(0);
  const { code, stderr } = await work.run(["pack", "--lock-timeout", "200ms", "--json"]);
  holder.stdin.end();
  await finish(holder);
  assert.equal(code, 5, `${stderr} after ${Date.now() - started} ms`);
  assert.equal((json(stderr)[0]?.["error"] as { code: string } | undefined)?.code, "LOCKED");
});
