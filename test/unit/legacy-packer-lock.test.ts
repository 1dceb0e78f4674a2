import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LegacyPackerLock } from "../../src/container/legacy-packer-lock.ts";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { isTsdosError, TsdosError } from "../../src/errors.ts";
import { openerOf } from "../../src/fs/file-opener.ts";
import { printHolder } from "../../src/fs/lock-holder.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { OsLock } from "../../src/fs/os-lock.ts";
import { Container } from "../../src/index.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { makeOld } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { LineProcess } from "../support/line-process.ts";

const HOUR_MS = 3_600_000;
const PYTHONS = "";
/** What exFAT says, and others that know no hard links. */
const NO_LINKS = { error: new TsdosError("ACCESS_DENIED", "no links", { errno: "EPERM" }) };

/** A lock on a folder with pack 0, and what disk-objectstore would do to `0.lock` between two calls of ours. */
class Scene {
  readonly lock: LegacyPackerLock;
  readonly path: string;
  readonly pack: string;
  readonly sandbox: string;
  readonly #meanwhile: { when: (call: FileCall) => boolean; work: () => void }[] = [];

  constructor(t: TestContext, links = true) {
    const root = temporaryFolder();
    const packs = join(root, "packs");
    this.sandbox = join(root, "sandbox");
    for (const folder of [packs, this.sandbox]) mkdirSync(folder);
    this.path = join(packs, "0.lock");
    this.pack = join(packs, "0");
    writeFileSync(this.pack, "stored bytes");
    const fs = new InterceptedFileSystem(new NodeFileSystem(), (call) => {
      const next = this.#meanwhile[0];
      if (next?.when(call)) this.#meanwhile.shift()?.work();
      return call.name === "link" && !links ? NO_LINKS : undefined;
    });
    this.lock = new LegacyPackerLock(fs, { packs, sandbox: this.sandbox }, this.osLock());
    t.after(() => this.lock.close());
  }

  osLock(): OsLock {
    const path = join(this.sandbox, "tsdos.lock");
    return new OsLock(path, `${path}.holder`);
  }

  acquire(timeoutMs = 0): Promise<void> {
    return this.lock.acquire("pack", { timeoutMs, writesPacks: true });
  }

  before(when: (call: FileCall) => boolean, work: () => void): void {
    this.#meanwhile.push({ when, work });
  }

  /** Python makes a lock of its own in the instant in which ours is removed: that stays. */
  leaveAsPythonTakes(): void {
    this.before(
      ({ name }) => name === "rename",
      () => this.pythonTakes(),
    );
    this.lock.leavePack();
    assert.equal(this.text, PYTHONS);
  }

  /** Two Pythons: one is refused, and removes the lock as it does then; the next one makes its own. */
  pythonTakes(): void {
    rmSync(this.path);
    writeFileSync(this.path, PYTHONS, { flag: "wx" });
  }

  /** A lock of a tsdos that was killed. */
  leftBehind(): void {
    writeFileSync(this.path, printHolder({ pid: process.pid, host: hostname(), since: "2026-01-01", doing: "pack" }));
  }

  get text(): string {
    return readFileSync(this.path, "utf8");
  }

  get names(): string[] {
    return readdirSync(join(this.path, ".."));
  }

  age(ms: number): void {
    const at = new Date(Date.now() - ms);
    for (const path of [this.path, this.pack]) utimesSync(path, at, at);
  }
}

const isLocked = (error: unknown): boolean => isTsdosError(error, "LOCKED");

test("0.lock is there while pack 0 is written, and says by whom; then it is gone, and the sandbox empty", async (t) => {
  const scene = new Scene(t);
  await scene.acquire();
  assert.deepEqual(scene.names, ["0"]);
  scene.lock.enterPack(0);
  assert.equal(JSON.parse(scene.text).pid, process.pid);
  scene.lock.leavePack();
  assert.deepEqual(scene.names, ["0"]);
  scene.lock.release();
  assert.deepEqual(readdirSync(scene.sandbox).sort(), ["tsdos.lock", "tsdos.lock.holder"]);
});

/** The lock was linked to its name, so nothing could be packed on file systems without hard links, such as exFAT. */
test("without hard links the lock is made, taken over, made again and given back all the same", async (t) => {
  const scene = new Scene(t, false);
  await scene.acquire();
  scene.lock.enterPack(0);
  assert.equal(JSON.parse(scene.text).pid, process.pid);
  rmSync(scene.path);
  scene.lock.keepPack();
  assert.equal(JSON.parse(scene.text).pid, process.pid);
  scene.lock.leavePack();
  assert.deepEqual(scene.names, ["0"]);
  scene.before(
    ({ name, path }) => name === "open" && path === scene.path,
    () => writeFileSync(scene.path, PYTHONS),
  );
  assert.throws(() => scene.lock.enterPack(0), isLocked, "Python was first");
  scene.leftBehind();
  scene.lock.enterPack(0);
  scene.leaveAsPythonTakes();
  scene.lock.release();
  assert.deepEqual(readdirSync(scene.sandbox).sort(), ["tsdos.lock", "tsdos.lock.holder"]);
});

test("one that a killed tsdos left behind is taken over in place, though its process id is in use", async (t) => {
  const scene = new Scene(t);
  scene.leftBehind();
  const { ino } = statSync(scene.path);
  await scene.acquire();
  scene.lock.enterPack(0);
  assert.notEqual(JSON.parse(scene.text).since, "2026-01-01");
  assert.equal(statSync(scene.path).ino, ino);
  scene.lock.leavePack();
  assert.deepEqual(scene.names, ["0"]);
});

/** V6: a stale lock was removed by its name, which by then could lead to the fresh lock of a Python process. */
for (const [moment, when] of Object.entries({
  "before it is opened": ({ name, mode }: FileCall) => name === "open" && mode === "modify",
  "after it was opened": ({ name, path }: FileCall) => name === "openIfExists" && path.endsWith("0.lock"),
  "after it was judged": ({ name }: FileCall) => name === "write",
})) {
  test(`V6: a stale lock that Python replaces ${moment} is Python's`, async (t) => {
    const scene = new Scene(t);
    await scene.acquire();
    scene.leftBehind();
    scene.before(when, () => scene.pythonTakes());
    assert.throws(() => scene.lock.enterPack(0), isLocked);
    assert.equal(scene.text, PYTHONS, "it is there, and untouched");
    scene.lock.release();
    assert.equal(scene.text, PYTHONS);
  });
}

test("a stale lock that is gone when it is opened is made anew", async (t) => {
  const scene = new Scene(t);
  await scene.acquire();
  scene.leftBehind();
  scene.before(
    ({ mode }) => mode === "modify",
    () => rmSync(scene.path),
  );
  scene.lock.enterPack(0);
  assert.equal(JSON.parse(scene.text).pid, process.pid);
});

test("our lock, removed by a Python that was refused, is made again before the next write", async (t) => {
  const scene = new Scene(t);
  await scene.acquire();
  scene.lock.enterPack(0);
  rmSync(scene.path);
  scene.lock.keepPack();
  assert.equal(JSON.parse(scene.text).pid, process.pid);
  scene.lock.keepPack();
  scene.lock.leavePack();
  assert.deepEqual(scene.names, ["0"]);
});

test("nothing is written beside a Python that has taken our lock, and its lock stays", async (t) => {
  const scene = new Scene(t);
  await scene.acquire();
  scene.lock.enterPack(0);
  scene.pythonTakes();
  assert.throws(() => scene.lock.keepPack(), isLocked);
  scene.lock.leavePack();
  assert.equal(scene.text, PYTHONS);
  scene.lock.release();
  await assert.rejects(scene.acquire(), isLocked);
});

test("a lock that Python makes in the instant in which ours is removed gets its name back", async (t) => {
  const scene = new Scene(t);
  await scene.acquire();
  scene.lock.enterPack(0);
  scene.leaveAsPythonTakes();
  assert.ok(readdirSync(scene.sandbox).every((name) => name.startsWith("tsdos.lock")));
});

test("Python's lock keeps packers out while it or its pack is young, and does not once both are an hour old", async (t) => {
  const scene = new Scene(t);
  writeFileSync(scene.path, PYTHONS);
  // New, however slow this test runs.
  scene.age(-HOUR_MS);
  await assert.rejects(scene.acquire(), isLocked);
  scene.age(2 * HOUR_MS);
  await scene.acquire();
  scene.lock.enterPack(0);
  assert.equal(JSON.parse(scene.text).pid, process.pid);
});

test("a process that has the lock open is its holder, however old the lock is", async (t) => {
  const scene = new Scene(t);
  writeFileSync(scene.path, PYTHONS);
  const code = `import fs from "node:fs"; const file = fs.openSync(process.argv[1], "r+");
    process.stdin.on("data", () => console.log(file));`;
  await using other = new LineProcess([process.execPath, "--input-type=module", "-e", code, scene.path]);
  await other.ask("ready?");
  const opener = openerOf(scene.path);
  if (opener.kind !== "process") return t.skip("needs /proc, as Linux has it");
  scene.age(2 * HOUR_MS);
  await assert.rejects(scene.acquire(), (error) => {
    assert.ok(isTsdosError(error, "LOCKED"));
    assert.equal(error.details.holder?.pid, opener.pid);
    assert.match(error.details.holder.doing, /write a pack \(.+\)/);
    return true;
  });
  assert.equal(scene.lock.holder()?.pid, opener.pid);
  await other[Symbol.asyncDispose]();
  await scene.acquire();
});

/** V6 again, by `clean`: it removed the lock by its name, which by then led to the fresh lock of a Python process. */
test("clean leaves the lock by which Python replaces a stale one after it was judged", async () => {
  const root = join(temporaryFolder(), "container");
  const container = await Container.create(root, { formatVersion: 1 });
  await container.insert(Buffer.from("content"), { to: "packed" });
  await container.close();
  const path = join(root, "packs/0.lock");
  writeFileSync(path, PYTHONS);
  makeOld(join(root, "packs"));
  const isRemoval = (call: FileCall): boolean => ["remove", "rename"].includes(call.name) && call.path === path;
  let times = 0;
  const fs = new InterceptedFileSystem(new NodeFileSystem(), (call) => {
    if (!isRemoval(call) || times++ > 0) return undefined;
    rmSync(path);
    writeFileSync(path, "Python's", { flag: "wx" });
    return undefined;
  });
  const stores = openStoresAt(fs, root);
  try {
    assert.equal((await clean(stores.combined, {})).indexFiles, 0);
    assert.equal(readFileSync(path, "utf8"), "Python's");
    assert.deepEqual(fs.openFiles, []);
    makeOld(join(root, "packs"));
    assert.equal((await clean(stores.combined, {})).indexFiles, 1);
    assert.deepEqual(readdirSync(join(root, "packs")), ["0"]);
  } finally {
    stores.close();
  }
});
