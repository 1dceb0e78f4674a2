import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { OsLock } from "../../src/fs/os-lock.ts";
import type { LockHolder } from "../../src/index.ts";
import { cliTest, errorOf, hasOpen, lines, Running } from "./support.ts";

for (const [signal, expected] of [
  // A terminal that was closed ended the program wherever it was.
  ["SIGHUP", 129],
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  cliTest(
    `${signal} while add waits for its input: what was printed is stored, nothing is left behind`,
    async (work) => {
      await work.container();
      work.write("file", "content");
      const running = work.start(["add", "file", "-", "--to", "packed"]);
      const printed = await running.firstLine();
      running.child.stdin.write("the beginning of something");
      await sleep(50);
      running.child.kill(signal);
      const { code, stdout, stderr } = await running.finished;
      assert.deepEqual([code, stdout], [expected, `${printed}\n`]);
      assert.match(stderr, /^tsdos: interrupted/);
      assert.deepEqual(await work.allKeys(), [printed.slice(0, 64)]);
      assert.deepEqual(work.leftovers(), []);
      assert.ok(await work.isValid());
    },
  );
}

// A thread waited for who would write to it, and the program for the thread, whatever signals came.
cliTest("a named pipe is read, and an interrupt does not wait for somebody to write to it", async (work) => {
  const [key = ""] = await work.container(["content"]);
  spawnSync("mkfifo", [work.path("pipe")]);
  for (const args of [
    ["add", "pipe"],
    ["has", "--from-file", "pipe"],
    ["import", "--archive", "pipe"],
  ]) {
    const waiting = work.start(args);
    await hasOpen(waiting, work.path("pipe"));
    waiting.child.kill("SIGINT");
    assert.equal((await waiting.finished).code, 130, args.join(" "));
  }
  const adding = work.start(["add", "pipe"]);
  await hasOpen(adding, work.path("pipe"));
  writeFileSync(work.path("pipe"), Buffer.alloc(300_000, "x"));
  assert.match((await adding.finished).stdout, /^[0-9a-f]{64} {2}300000 {2}pipe\n$/);
  const asking = work.start(["has", "--from-file", "pipe"]);
  await hasOpen(asking, work.path("pipe"));
  writeFileSync(work.path("pipe"), `${key}\n`);
  assert.deepEqual(lines((await asking.finished).stdout), [`${key}  present`]);
});

// It heard the signal, and went on waiting.
cliTest("the other side of a backup ends when it is told to", async (work) => {
  const serving = work.start(["serve-backup"]);
  assert.equal(await serving.firstLine(), "tsdos-backup 1");
  serving.child.kill("SIGTERM");
  assert.equal((await serving.finished).code, 143);
});

cliTest("SIGINT in the middle of add -r and of pack leaves a store that goes on from there", async (work) => {
  await work.container();
  for (let file = 0; file < 1500; file++) work.write(`tree/${file % 10}/${file}`, `content ${file}`.repeat(300));
  const adding = work.start(["add", "-r", "tree", "--manifest", "manifest"]);
  await adding.firstLine();
  adding.child.kill("SIGINT");
  const { code, stdout } = await adding.finished;
  assert.ok(code === 130 || code === 0, `exit code ${code}`);
  const present = new Set(await work.allKeys());
  for (const line of lines(stdout)) assert.ok(present.has(line.slice(0, 64)), line);
  assert.deepEqual(
    readdirSync(work.folder).toSorted(),
    code === 0 ? ["container", "manifest", "tree"] : ["container", "tree"],
  );
  assert.deepEqual(work.leftovers(), []);
  assert.equal((await work.run(["add", "-r", "tree"])).code, 0);
  const packing = work.start(["pack"]);
  while (packing.child.exitCode === null && !existsSync(work.path("container/packed/0.pack"))) await sleep(1);
  packing.child.kill("SIGINT");
  const packed = await packing.finished;
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
  const child = work.spawn(["cat", key, key, key]);
  await once(child.stdout, "readable");
  await sleep(700);
  const { stdout } = work.shell(`grep VmHWM /proc/${child.pid}/status`);
  const peakMiB = Number(/\d+/.exec(stdout)?.[0] ?? 0) / 1024;
  if (process.platform === "linux") assert.ok(peakMiB > 0, "it was not measured");
  assert.ok(peakMiB < 200, `peak ${peakMiB} MiB of 180 MB of output`);
  const { code } = await new Running(child).finished;
  assert.equal(code, 0);
});

cliTest("a store that another process is packing is exit code 5, with who holds it", async (work) => {
  await work.container(["content"]);
  const lock = new OsLock(work.path("container/packed/lock"), work.path("container/packed/lock.holder"));
  assert.ok(lock.tryAcquire("a test"));
  const locked = await work.run(["pack", "--lock-timeout", "200ms", "--json"]);
  assert.deepEqual([locked.code, errorOf(locked)?.code], [5, "LOCKED"]);
  assert.equal((errorOf(locked)?.details["holder"] as LockHolder | undefined)?.pid, process.pid);
  const atOnce = await work.run(["--wait", "0", "pack"]);
  assert.equal(atOnce.code, 5);
  assert.match(atOnce.stderr, new RegExp(`process ${process.pid} on .*"a test" since 2`));
  assert.doesNotMatch(atOnce.stderr, /waited/);
  assert.equal((await work.run(["ls"])).code, 0, "readers do not care");
  const interrupted = work.start(["pack"]);
  await hasOpen(interrupted, lock.path);
  interrupted.child.kill("SIGINT");
  assert.equal((await interrupted.finished).code, 130, "waiting can be ended");
  lock.close();
  assert.equal((await work.run(["pack"])).code, 0);
});
