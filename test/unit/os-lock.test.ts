import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import type { LockHolder } from "../../src/errors.ts";
import { isTsdosError } from "../../src/errors.ts";
import { acquireLock, OsLock } from "../../src/fs/os-lock.ts";
import { beforeRemoval, temporaryFolder } from "../support/folders.ts";
import { LineProcess } from "../support/line-process.ts";
import { run } from "../support/mounts.ts";

const moduleUrl = new URL("../../src/fs/os-lock.ts", import.meta.url).href;

/** A process that does with its own instance of the lock what it is told, line by line. */
const otherProcess = `
import { createInterface } from "node:readline";
import { readFileSync, writeFileSync } from "node:fs";
import { acquireLock, OsLock } from ${JSON.stringify(moduleUrl)};
const lock = new OsLock(process.argv[1], process.argv[1] + ".holder");
const operations = {
  become: ({ user }) => { process.setgid(user); process.setuid(user); },
  acquire: ({ onlyLooks }) => acquireLock(lock, { doing: "work", timeoutMs: 0, onlyLooks }).then(() => "acquired", (error) => error.code),
  pid: () => process.pid,
  tryAcquire: () => lock.tryAcquire("child's work"),
  release: () => lock.release(),
  count: async ({ file, times }) => {
    for (let i = 0; i < times; i++) {
      await acquireLock(lock, { doing: "count", timeoutMs: 60_000 });
      writeFileSync(file, String(Number(readFileSync(file, "utf8")) + 1));
      lock.release();
    }
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  console.log(JSON.stringify((await operations[command.op](command)) ?? null));
}`;

function newPath(): string {
  return join(temporaryFolder(), "lock");
}

function newLock(t: TestContext, path: string): OsLock {
  const lock = new OsLock(path, `${path}.holder`);
  t.after(() => lock.close());
  return lock;
}

function startOther(path: string): LineProcess {
  return new LineProcess([process.execPath, "--input-type=module", "-e", otherProcess, path]);
}

const NOBODY = 65534;

describe("OsLock", () => {
  // SQLite opens a file that it may not write for reading, and then a transaction excludes nobody: two packers were in at a time.
  test("whoever cannot write the file does not get the lock, but to look", async (t) => {
    if (process.getuid?.() !== 0) return t.skip("only root can become somebody else");
    const path = newPath();
    chmodSync(dirname(path), 0o777);
    const owner = newLock(t, path);
    assert.ok(owner.tryAcquire("pack"));
    owner.release();
    await using one = startOther(path);
    await using two = startOther(path);
    for (const other of [one, two]) await other.ask({ op: "become", user: NOBODY });
    chmodSync(path, 0o644);
    for (const other of [one, two]) assert.equal(await other.ask({ op: "acquire" }), "ACCESS_DENIED");
    assert.equal(await one.ask({ op: "acquire", onlyLooks: true }), "acquired");
    await one.ask({ op: "release" });
    chmodSync(path, 0o666);
    assert.equal(await two.ask({ op: "acquire" }), "acquired");
    assert.equal(owner.tryAcquire("pack"), false);
  });

  // Permissions allow to write it, and the system does not: two had the lock at the same time.
  test("who may only append to the file does not get the lock", async (t) => {
    const path = newPath();
    newLock(t, path).prepare();
    if (!run("chattr", ["+a", path])) return t.skip("needs chattr, and leave to make a file append-only");
    beforeRemoval(() => run("chattr", ["-a", path]));
    for (const lock of [newLock(t, path), newLock(t, path)])
      await assert.rejects(acquireLock(lock, { doing: "pack", timeoutMs: 0 }), (error) =>
        isTsdosError(error, "ACCESS_DENIED"),
      );
    run("chattr", ["-a", path]);
    const lock = newLock(t, path);
    await acquireLock(lock, { doing: "pack", timeoutMs: 0 });
    assert.ok(lock.held);
  });

  test("excludes another instance in the same process until it is released", (t) => {
    const path = newPath();
    const a = newLock(t, path);
    const b = newLock(t, path);
    assert.equal(a.tryAcquire("pack"), true);
    assert.equal(a.held, true);
    assert.equal(b.tryAcquire("pack"), false);
    assert.equal(b.held, false);
    assert.equal(a.tryAcquire("pack"), false, "it is taken, be it by this instance");
    b.release();
    assert.equal(b.tryAcquire("pack"), false, "a release by one that does not hold it has no effect");
    a.release();
    assert.equal(b.tryAcquire("pack"), true);
    b.close();
    assert.equal(a.tryAcquire("pack"), true, "close releases");
    a.close();
    assert.equal(a.tryAcquire("pack"), true, "it can be used again after close");
  });

  test("closing an instance that does not hold it leaves it to the holder", async (t) => {
    const path = newPath();
    const a = newLock(t, path);
    assert.equal(a.tryAcquire("pack"), true);
    const b = new OsLock(path, `${path}.holder`);
    assert.equal(b.tryAcquire("pack"), false);
    b.close();
    await using other = startOther(path);
    assert.equal(await other.ask({ op: "tryAcquire" }), false);
  });

  test("excludes another process, says who holds it, and is free at once when that is killed", async (t) => {
    const path = newPath();
    const lock = newLock(t, path);
    await using other = startOther(path);
    const pid = await other.ask({ op: "pid" });
    assert.equal(await other.ask({ op: "tryAcquire" }), true);
    assert.equal(lock.tryAcquire("pack"), false);

    const holder = lock.holder() as LockHolder;
    assert.deepEqual({ ...holder, since: "" }, { pid, host: hostname(), since: "", doing: "child's work" });
    assert.ok(Math.abs(Date.parse(holder.since) - Date.now()) < 60_000);
    await assert.rejects(acquireLock(lock, { doing: "pack", timeoutMs: 20 }), (error: unknown) => {
      assert.ok(isTsdosError(error, "LOCKED"));
      assert.deepEqual(error.details, { path, holder });
      for (const part of [path, String(pid), hostname(), "child's work", holder.since]) {
        assert.ok(error.message.includes(part), part);
      }
      return true;
    });

    await other[Symbol.asyncDispose]();
    assert.notEqual(readFileSync(`${path}.holder`, "utf8"), "", "a killed process leaves its name");
    assert.equal(lock.holder(), undefined, "which does not count");
    assert.equal(lock.tryAcquire("pack"), true);
    assert.equal(lock.holder()?.pid, process.pid);
    lock.release();
    assert.equal(readFileSync(`${path}.holder`, "utf8"), "");
    assert.equal(lock.holder(), undefined);
  });

  test("excludes a worker thread, and is free when that is ended", async (t) => {
    const path = newPath();
    const lock = newLock(t, path);
    const code = `
      import { parentPort } from "node:worker_threads";
      import { OsLock } from ${JSON.stringify(moduleUrl)};
      globalThis.lock = new OsLock(${JSON.stringify(path)}, ${JSON.stringify(`${path}.holder`)});
      parentPort.postMessage(lock.tryAcquire("thread's work"));
      parentPort.on("message", () => {});`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
    try {
      const acquired = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      assert.equal(acquired, true);
      assert.equal(lock.tryAcquire("pack"), false);
      assert.equal(lock.holder()?.doing, "thread's work");
    } finally {
      await worker.terminate();
    }
    assert.equal(lock.tryAcquire("pack"), true);
  });

  test("is never unlinked, and leaves no other file than the holder's", async (t) => {
    const path = newPath();
    const lock = newLock(t, path);
    lock.tryAcquire("pack");
    const { ino } = statSync(path);
    assert.deepEqual(readdirSync(join(path, "..")).sort(), ["lock", "lock.holder"]);
    lock.close();
    await using other = startOther(path);
    assert.equal(await other.ask({ op: "tryAcquire" }), true);
    await other[Symbol.asyncDispose]();
    assert.deepEqual(readdirSync(join(path, "..")).sort(), ["lock", "lock.holder"]);
    assert.equal(statSync(path).ino, ino);
  });

  test("can be taken by whoever may write in the folder", { skip: process.platform === "win32" }, (t) => {
    const folder = join(temporaryFolder(), "shared");
    mkdirSync(folder);
    newLock(t, join(folder, "lock")).tryAcquire("pack");
    assert.equal(statSync(join(folder, "lock")).mode & 0o666, statSync(folder).mode & 0o666);
  });

  test("works without the holder's file, which is for messages only", (t) => {
    const path = newPath();
    mkdirSync(`${path}.holder`);
    const lock = newLock(t, path);
    assert.equal(lock.tryAcquire("pack"), true);
    lock.release();
    assert.equal(lock.tryAcquire("pack"), true);
  });

  test("takes what is no holder's text for nothing", (t) => {
    const path = newPath();
    const lock = newLock(t, path);
    assert.equal(lock.holder(), undefined);
    const holder = { pid: process.pid, host: hostname(), since: "2026-01-01T00:00:00.000Z", doing: "pack" };
    const texts = ["", "{", "null", "[]", '"x"', JSON.stringify({ ...holder, pid: "1" }), JSON.stringify({ pid: 1 })];
    for (const text of [...texts, JSON.stringify({ ...holder, doing: "x".repeat(2000) })]) {
      writeFileSync(`${path}.holder`, text);
      assert.equal(lock.holder(), undefined, text);
    }
    writeFileSync(`${path}.holder`, JSON.stringify(holder));
    assert.deepEqual(lock.holder(), holder);
  });

  test("says what is wrong with its folder and its file", (t) => {
    const path = newPath();
    const missing = newLock(t, join(path, "lock"));
    assert.throws(
      () => missing.tryAcquire("pack"),
      (error) => isTsdosError(error, "NOT_FOUND"),
    );
    assert.ok(!existsSync(path));
    writeFileSync(path, "something else ".repeat(100));
    const damaged = newLock(t, path);
    assert.throws(
      () => damaged.tryAcquire("pack"),
      (error) => isTsdosError(error, "CORRUPT_INDEX") && error.details.path === path,
    );
  });
});

describe("currentHolder", () => {
  test("is who has the lock now, whatever the text beside it says", async (t) => {
    const path = newPath();
    const lock = newLock(t, path);
    assert.equal(lock.currentHolder(), undefined);
    assert.deepEqual(readdirSync(join(path, "..")), [], "nothing is made by looking");
    const other = newLock(t, path);
    other.tryAcquire("pack");
    assert.equal(lock.currentHolder()?.doing, "pack");
    assert.equal(other.currentHolder()?.doing, "pack");
    other.release();
    assert.equal(lock.currentHolder(), undefined);
    // Left by a holder that was killed, and whose process id another process has now.
    const holder = { pid: process.pid, host: hostname(), since: "2026-01-01T00:00:00.000Z", doing: "pack" };
    writeFileSync(`${path}.holder`, JSON.stringify(holder));
    assert.equal(lock.currentHolder(), undefined);
    assert.equal(other.tryAcquire("clean"), true);
  });
});

describe("acquireLock", () => {
  test("tells for whom it waits", async (t) => {
    const path = newPath();
    const a = newLock(t, path);
    const b = newLock(t, path);
    a.tryAcquire("pack");
    const told: unknown[] = [];
    const onWait = (holder: LockHolder | undefined): void => {
      told.push([holder?.pid, holder?.doing]);
      a.release();
    };
    await acquireLock(b, { doing: "clean", timeoutMs: 30_000, onWait });
    assert.deepEqual(told, [[process.pid, "pack"]]);
    await assert.rejects(acquireLock(a, { doing: "pack", timeoutMs: 0 }), (error) => {
      assert.ok(isTsdosError(error, "LOCKED"));
      assert.equal(error.details.holder?.doing, "clean");
      assert.match(error.message, /this process itself/);
      return true;
    });
  });

  test("waits without blocking, and gets the lock when it is released", async (t) => {
    const path = newPath();
    const a = newLock(t, path);
    const b = newLock(t, path);
    await acquireLock(a, { doing: "pack", timeoutMs: 0 });
    setTimeout(() => a.release(), 30);
    await acquireLock(b, { doing: "clean", timeoutMs: 30_000 });
    assert.equal(b.holder()?.doing, "clean");
  });

  test("rejects with the signal's reason, before and while it waits", async (t) => {
    const path = newPath();
    const a = newLock(t, path);
    const b = newLock(t, path);
    a.tryAcquire("pack");
    const reason = new Error("enough");
    const waiting = new AbortController();
    const onWait = (): void => waiting.abort(reason);
    for (const signal of [AbortSignal.abort(reason), waiting.signal]) {
      const options = { doing: "pack", timeoutMs: 30_000, signal, onWait };
      await assert.rejects(acquireLock(b, options), (error) => error === reason);
    }
    a.release();
    const aborted = AbortSignal.abort(reason);
    await assert.rejects(acquireLock(b, { doing: "pack", timeoutMs: 0, signal: aborted }), (error) => error === reason);
    assert.equal(b.held, false);
  });

  test("lets one process in at a time: no update of a counter is lost", async (t) => {
    const path = newPath();
    const counter = join(path, "..", "counter");
    writeFileSync(counter, "0");
    const others = Array.from({ length: 3 }, () => startOther(path));
    t.after(() => Promise.all(others.map((other) => other[Symbol.asyncDispose]())));
    await Promise.all(others.map((other) => other.ask({ op: "count", file: counter, times: 50 })));
    assert.equal(readFileSync(counter, "utf8"), "150");
  });
});
