import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { backupsIn } from "../../src/container/restore-backup.ts";
import { isTsdosError, TsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { backup } from "../../src/maintenance/backup/backup.ts";
import { BackupsFolder } from "../../src/maintenance/backup/backups-folder.ts";
import { Connection } from "../../src/maintenance/backup/connection.ts";
import { Receiver } from "../../src/maintenance/backup/receiver.ts";
import { RestorePlace } from "../../src/maintenance/backup/restore-place.ts";
import { sendContainer } from "../../src/maintenance/backup/send-container.ts";
import { noise } from "../../src/testing/contents.ts";
import { type Fault, type FileCall, InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import { fakeSsh } from "../support/backup.ts";
import { temporaryFolder } from "../support/folders.ts";
import { writeFile } from "../support/port-files.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

describe("a backup that cannot be written to its end", () => {
  const receiving = async (before: (call: FileCall) => Fault | undefined) => {
    const fs = new InterceptedFileSystem(emptyMemoryFolder(), before);
    const target = new Receiver(fs, new RestorePlace(fs, "/restored", { acquire: async () => {}, close() {} }));
    await target.begin({ containerId: "", formatVersion: 2 }, { verify: "written", dryRun: false });
    return { fs, target };
  };
  const fault = { error: new TsdosError("IO_ERROR", "the disk fails") };
  const key = (i: number): string => `loose/${i}a/${"b".repeat(62)}`;

  test("reads nothing more of a file that it could not begin", async () => {
    const { target } = await receiving(({ name, path, mode }) =>
      name === "open" && mode === "create" && path.endsWith(".tmp") ? fault : undefined,
    );
    let ended = false;
    const chunks = function* (): Generator<Uint8Array> {
      try {
        for (;;) yield Buffer.from("content");
      } finally {
        ended = true;
      }
    };
    await assert.rejects(target.put({ path: key(1) }, chunks()), /the disk fails/);
    assert.equal(ended, true);
  });

  test("leaves no file open when one of them cannot get its name", async () => {
    const { fs, target } = await receiving(({ name, to }) =>
      name === "rename" && to?.endsWith(key(2)) ? fault : undefined,
    );
    for (const i of [1, 2, 3, 4]) await target.put({ path: key(i) }, [Buffer.from("content")]);
    await assert.rejects(target.finish({}), /the disk fails/);
    await target.close();
    assert.deepEqual(fs.openFiles, []);
  });

  // Of a disk that had become read-only, the first temporary file could not be removed, and the others stayed open.
  test("leaves no file open when none of them can be removed", async () => {
    const { fs, target } = await receiving(({ name }) => (name === "remove" ? fault : undefined));
    for (const i of [1, 2, 3, 4]) await target.put({ path: key(i) }, [Buffer.from("content")]);
    await assert.rejects(target.close(), /the disk fails/);
    assert.deepEqual(fs.openFiles, []);
  });
});

test("what is sent after the other end has gone fails, and does not wait for it", { timeout: 5000 }, async () => {
  const output = new PassThrough();
  const connection = new Connection((async function* () {})(), output);
  output.destroy();
  await once(output, "close");
  await assert.rejects(connection.send("data", Buffer.from("content")), (error) => isTsdosError(error, "IO_ERROR"));
});

test("an abort is heard between packs that the last backup has", async () => {
  const memory = emptyMemoryFolder();
  writeFile(memory, `${MEMORY_ROOT}/config.json`, new Uint8Array());
  const controller = new AbortController();
  const opened: string[] = [];
  const fs = new InterceptedFileSystem(memory, ({ name, path }) => {
    if (controller.signal.aborted && name === "openIfExists" && path.endsWith(".toc")) opened.push(path);
    return undefined;
  });
  const { combined, close } = openOn(fs, { durability: "process", packSizeTarget: 1 });
  for (let i = 0; i < 8; i++) await Array.fromAsync(combined.packed.insertMany([Buffer.from(`content ${i}`)]));
  const target = new Receiver(fs, new RestorePlace(fs, "/there", { acquire: async () => {}, close() {} }));
  const find = target.find.bind(target);
  target.find = (path, hashUpTo) => {
    if (path.endsWith("/2.toc")) controller.abort(new Error("enough"));
    return find(path, hashUpTo);
  };
  await assert.rejects(
    sendContainer(combined, target, undefined, { signal: controller.signal, dryRun: true }),
    /enough/,
  );
  assert.deepEqual(opened, []);
  close();
});

test("a backup whose configuration is damaged does not hide the others", async () => {
  const parent = temporaryFolder();
  await using container = await Container.create(join(parent, "container"), { durability: "process" });
  const { name: first = "" } = await container.backup(join(parent, "backups"));
  const { name: second = "" } = await container.backup(join(parent, "backups"));
  writeFileSync(join(parent, "backups", first, "config.json"), "damaged");
  const listed = await backupsIn(join(parent, "backups"));
  assert.deepEqual(
    listed.map(({ name, objects }) => [name, objects]),
    [
      [first, undefined],
      [second, 0],
    ],
  );
});

// The configuration of the newest backup had to be read to know whose the backups are: damaged, it kept all later ones from being made.
test("a backup whose configuration is damaged does not block others, and is not removed", async () => {
  const parent = temporaryFolder();
  const folder = join(parent, "backups");
  await using container = await Container.create(join(parent, "container"), { durability: "process" });
  await using other = await Container.create(join(parent, "other"), { durability: "process" });
  const damage = (name: string | undefined): void =>
    writeFileSync(join(folder, name as string, "config.json"), "damaged");
  const { name: first } = await container.backup(folder);
  damage(first);
  const { name: second } = await container.backup(folder, { keep: 0 });
  const { name: third } = await container.backup(folder);
  damage(third);
  await assert.rejects(other.backup(folder), (error) => isTsdosError(error, "ALREADY_EXISTS"));
  const { name: fourth, removed } = await container.backup(folder, { keep: 0 });
  assert.deepEqual(removed, [second]);
  assert.deepEqual(
    (await backupsIn(folder)).map(({ name }) => name),
    [first, third, fourth],
  );
});

// The error was that of a temporary file that could not be removed.
test("of a disk that fails from some moment on, the first error is told", async () => {
  const folder = temporaryFolder();
  await using container = await Container.create(join(folder, "container"));
  await container.insert(Buffer.from("one"));
  let fails: string | undefined;
  const fs = new InterceptedFileSystem(new NodeFileSystem(), ({ name, path }) => {
    if (!path.includes("unfinished_") || (fails === undefined && name !== "sync")) return undefined;
    fails ??= name;
    return { error: new TsdosError("IO_ERROR", `the disk fails: ${name}`) };
  });
  const stores = openStoresAt(fs, container.path);
  await assert.rejects(backup(stores.combined, join(folder, "backups"), {}), /the disk fails: sync/);
  stores.close();
});

// Its folder was looked at before it had the lock: the backups of two containers were in one folder, and `keep` removed the other's.
test("a folder that gets the backup of another container meanwhile is refused", async () => {
  const fs = emptyMemoryFolder();
  const others = "/backups/backup_20260102030405_ab12";
  const acquire = async (): Promise<void> => {
    fs.makeDirectory(others);
    const config = { container_version: 2, container_id: "b".repeat(32) };
    writeFile(fs, `${others}/config.json`, Buffer.from(JSON.stringify(config)));
  };
  const target = new Receiver(fs, new BackupsFolder(fs, "/backups", { acquire, close() {} }));
  const subject = { containerId: "a".repeat(32), formatVersion: 2 } as const;
  await assert.rejects(target.begin(subject, { verify: "written", dryRun: false }), { code: "ALREADY_EXISTS" });
});

// It was taken for what an interrupted backup has left: its files were moved to the new backup, and the rest was removed.
test("a container that is called as an unfinished backup is not backed up to the folder that it is in", async () => {
  const folder = temporaryFolder();
  for (const name of ["unfinished_work", "removed_work", "backup_20260102030405_ab12"]) {
    await using container = await Container.create(join(folder, name));
    const { key } = await container.insert(Buffer.from(name));
    await assert.rejects(container.backup(folder), { code: "ALREADY_EXISTS" });
    assert.equal((await container.stat(key))?.rawSize, name.length);
  }
});

// The copy of a pack that has grown could not be written then, and no backup could be made any more (unless by root).
test("backups whose files are protected from writing are no hindrance to the next one", async () => {
  const folder = temporaryFolder();
  await using container = await Container.create(join(folder, "container"));
  const backups = join(folder, "backups");
  await container.insert(Buffer.from("one"), { to: "packed" });
  const packOf = (name = ""): string => join(backups, name, "packed/0.pack");
  const first = packOf((await container.backup(backups)).name);
  chmodSync(first, 0o444);
  await container.insert(Buffer.from("two"), { to: "packed" });
  assert.equal(statSync(packOf((await container.backup(backups)).name)).mode & 0o777, 0o644);
  assert.equal(statSync(first).mode & 0o777, 0o444);
});

describe("of another machine", () => {
  /** Backs up through a program in the place of ssh. */
  const through = async (
    program: string,
    signal?: AbortSignal,
    content: Uint8Array = Buffer.from("one"),
  ): Promise<string | undefined> => {
    const folder = temporaryFolder();
    const { remoteCommand, ssh } = fakeSsh(folder);
    const path = join(folder, "program");
    writeFileSync(path, `#!/bin/sh\n${program.replace("SSH", ssh)}\n`, { mode: 0o755 });
    await using container = await Container.create(join(folder, "container"));
    await container.insert(content);
    const options = { ssh: path, remoteCommand, ...(signal && { signal }) };
    const { name } = await container.backup(`h:${folder}/backups`, options);
    return name;
  };

  // It was waited for until that ended, too: ssh leaves its master of shared connections behind, for hours.
  test("what ssh has started and left behind is not waited for", { timeout: 10_000 }, async () => {
    // It ends with the test's folder.
    const holding = 'while [ -e "$0" ]; do sleep 0.1; done </dev/null >/dev/null &';
    assert.ok(await through(`${holding}\nexec SSH "$@"`));
  });

  // The error said that there was no tsdos on that machine.
  test("a connection that is lost later is told as one, with what ssh said", async () => {
    const lost = /was lost.*\(host h: .* ended with exit code 255\) \(it said: broken pipe\)/;
    const dying = "printf 'tsdos-backup 1\\n'; head -c 20 >/dev/null; echo broken pipe >&2; exit 255";
    await assert.rejects(through(dying), (error) => isTsdosError(error, "IO_ERROR") && lost.test(error.message));
  });

  const greeting = "printf 'tsdos-backup 1\\n'";
  /** Prints a frame: the digit of its type, and its payload. */
  const frame = (type: number, payload: string): string =>
    `printf '\\0${payload.length.toString(8)}\\0\\0\\0\\0${type}%s' '${payload}'`;
  const isLost = (error: unknown): boolean =>
    isTsdosError(error, "IO_ERROR") && /the connection .*was lost/.test(error.message);

  // The answers that nobody had asked for were passed over, while what the other side did not read was waited for.
  test("one that answers without being asked is told as one that is lost", { timeout: 30_000 }, async () => {
    const answer = frame(4, '{"ok":[0]}');
    const answers = `${answer}; `.repeat(40);
    const content = noise(4_000_000);
    await Promise.all(
      [`${answers} exec sleep 60`, `while ${answer}; do :; done`, `${frame(2, "data")}; exec sleep 60`].map((does) =>
        assert.rejects(through(`${greeting}; ${does}`, undefined, content), isLost),
      ),
    );
  });

  test("what is no answer to what was asked is told as a lost connection", { timeout: 30_000 }, async () => {
    for (const wrong of ["null", "7", '"x"', "[{}]", '["x"]', "[-1]", "{}"]) {
      const answers = `${frame(4, '{"ok":null}')}; ${frame(4, `{"ok":${wrong}}`)}; `;
      await assert.rejects(through(`${greeting}; ${answers} cat >/dev/null`), isLost);
    }
  });

  // It was waited for without end, also by who had given up.
  test("one that does not end when it is told to is killed", { timeout: 60_000 }, async () => {
    const stubborn = "trap '' TERM HUP INT PIPE; exec 2>/dev/null";
    const waiting = "while :; do sleep 0.1; done";
    const reason = new Error("enough");
    const lateAbort = (): AbortSignal => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 300);
      return controller.signal;
    };
    const isReason = (error: unknown): boolean => error === reason;
    await Promise.all([
      assert.rejects(through(`${stubborn}; ${waiting}`, lateAbort()), isReason),
      assert.rejects(through(`${stubborn}; ${greeting}; ${waiting}`, lateAbort()), isReason),
      assert.rejects(through(`${stubborn}; ${greeting}; ${frame(2, "data")}; ${waiting}`), isLost),
    ]);
  });

  test("another version of the protocol is told as one", async () => {
    const other = /use the same on both sides/;
    await assert.rejects(through("printf 'tsdos-backup 2\\n'; cat >/dev/null"), other);
  });
});
