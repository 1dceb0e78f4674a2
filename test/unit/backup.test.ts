import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { backupsIn, restoreBackup } from "../../src/container/restore-backup.ts";
import { type ErrorCode, isTsdosError } from "../../src/errors.ts";
import { isBackedUpPath, parseBackupName } from "../../src/format/backup-paths.ts";
import { FrameParser, frameTypes, printFrame } from "../../src/format/backup-protocol.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { OsLock } from "../../src/fs/os-lock.ts";
import { localBackups } from "../../src/maintenance/backup/local-target.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { fakeSsh, filesIn, readAll } from "../support/backup.ts";
import { loosePathOf } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { flipByte } from "../support/port-files.ts";

const fails = (code: ErrorCode, work: () => Promise<unknown>, message: RegExp): Promise<void> =>
  assert.rejects(work, (error) => {
    assert.ok(isTsdosError(error, code), String(error));
    assert.match(error.message, message);
    return true;
  });

interface Place {
  readonly container: Container;
  /** As it is given to `backup`. */
  readonly destination: string;
  readonly folder: string;
  readonly folderOf: (name: string | undefined) => string;
}

async function filled(formatVersion: 1 | 2): Promise<Place> {
  const parent = temporaryFolder();
  const container = await Container.create(join(parent, "container"), { formatVersion, packSizeTarget: 60_000 });
  await Array.fromAsync(container.insertMany(smallContents(150, 1), { to: "packed", durability: "process" }));
  await Array.fromAsync(container.insertMany([...smallContents(40, 2), prose(5_000_000)], { durability: "process" }));
  const folder = join(parent, "deep/backups");
  return { container, folder, destination: folder, folderOf: (name) => join(folder, name as string) };
}

const isPack = (path: string): boolean => /^(packed|packs)\//.test(path) && !path.includes("index/");

for (const formatVersion of [1, 2] as const) {
  for (const where of ["here", "through ssh"] as const) {
    describe(`a backup of format version ${formatVersion} ${where}`, () => {
      test("is a container with everything in it, shares what has not changed, and stays as it is", async () => {
        const { container, folder, folderOf } = await filled(formatVersion);
        await using _ = container;
        const remote = where === "here" ? {} : fakeSsh(temporaryFolder());
        const destination = where === "here" ? folder : `somebody@host:${folder}`;
        const keys = await readAll(container);
        const dry = await container.backup(destination, { ...remote, dryRun: true });
        assert.deepEqual([dry.objects, dry.linkedFiles, existsSync(folder)], [keys.length, 0, false]);
        const phases: string[] = [];
        const first = await container.backup(destination, {
          ...remote,
          onProgress({ phase, objects, bytes, totalObjects, totalBytes }) {
            phases.push(phase);
            assert.ok(objects <= (totalObjects ?? 0) && bytes <= (totalBytes ?? 0));
          },
        });
        assert.deepEqual([...new Set(phases)], ["loose", "packs", "finish"]);
        assert.deepEqual([first.objects, first.bytes, first.copiedBytes], [keys.length, dry.bytes, dry.copiedBytes]);
        assert.deepEqual([first.problems, first.removed, first.hardLinks], [[], [], true]);
        assert.equal(readlinkSync(join(folder, "last-backup")), first.name);
        assert.equal((await container.status()).lastBackup?.destination, destination);
        const before = filesIn(folderOf(first.name));
        const original = filesIn(container.path);
        for (const [path, { inode }] of before) assert.notEqual(original.get(path)?.inode, inode, `${path} is linked`);

        const more = await Array.fromAsync(container.insertMany(smallContents(60, 3), { to: "packed" }));
        await container.delete([keys[0] as string, keys.at(-1) as string]);
        const planned = await container.backup(destination, { ...remote, dryRun: true, verify: "full" });
        const second = await container.backup(destination, { ...remote, verify: "full" });
        assert.deepEqual(
          [planned.copiedBytes, planned.linkedBytes, planned.reusedBytes],
          [second.copiedBytes, second.linkedBytes, second.reusedBytes],
        );
        assert.ok(second.reusedBytes > 0, "the pack that has grown is continued");
        const after = filesIn(folderOf(second.name));
        const packs = [...before.keys()].filter(isPack);
        const shared = packs.filter((path) => before.get(path)?.inode === after.get(path)?.inode);
        assert.ok(shared.length > 0 && shared.length < packs.length, `${shared.length} of ${packs.length} are shared`);
        for (const [path, { inode }] of before)
          if (path.startsWith("loose/") && after.has(path)) assert.equal(after.get(path)?.inode, inode);
        assert.deepEqual(filesIn(folderOf(first.name)), before);

        await using old = await Container.open(folderOf(first.name));
        assert.deepEqual(await readAll(old), keys);
        const now = await readAll(container);
        assert.equal(now.length, keys.length - 2 + more.length);
        await using copy = await Container.open(join(folder, "last-backup"));
        assert.deepEqual(await readAll(copy), now);
        for (const one of [old, copy]) assert.equal((await one.validate()).valid, true);
        assert.equal(copy.config.containerId, container.config.containerId);

        const third = await container.backup(destination, { ...remote, keep: 1 });
        assert.deepEqual([third.removed, third.copiedFiles <= 2], [[first.name], true]);
        const list = await backupsIn(destination, remote);
        assert.deepEqual(
          list.map(({ name, complete, objects }) => [name, complete, objects]),
          [
            [second.name, true, now.length],
            [third.name, true, now.length],
          ],
        );
        assert.deepEqual(
          readdirSync(folder)
            .filter((name) => !name.startsWith("backup.lock"))
            .sort(),
          [second.name, third.name, "last-backup"].sort(),
        );

        const restored = join(folder, "../restored");
        const planOfRestore = await restoreBackup(destination, restored, { ...remote, dryRun: true });
        assert.deepEqual([planOfRestore.objects, existsSync(restored)], [now.length, false]);
        const report = await restoreBackup(destination, restored, remote);
        assert.deepEqual([report.objects, report.problems], [now.length, []]);
        await using again = await Container.open(restored);
        assert.deepEqual(await readAll(again), now);
        assert.equal(again.config.containerId, container.config.containerId);
        assert.deepEqual(readdirSync(restored).sort(), readdirSync(folderOf(third.name)).sort());
        await fails("ALREADY_EXISTS", () => restoreBackup(destination, restored, remote), /not empty/);
        await restoreBackup(destination.replace(/backups$/, `backups/${second.name}`), join(folder, "../one"), remote);
      });
    });
  }

  test(`version ${formatVersion}: an interrupted backup is continued`, async () => {
    const { container, folder, folderOf } = await filled(formatVersion);
    await using _ = container;
    const controller = new AbortController();
    const aborting = container.backup(folder, {
      signal: controller.signal,
      onProgress: ({ phase }) => phase === "finish" && controller.abort(new Error("enough")),
    });
    await assert.rejects(aborting, /enough/);
    assert.deepEqual(
      (await backupsIn(folder, {})).map(({ complete }) => complete),
      [false],
    );
    assert.ok(!existsSync(join(folder, "last-backup")));
    const unfinished = readdirSync(folder).find((name) => name.startsWith("unfinished_"));
    const inodes = new Set([...filesIn(folderOf(unfinished)).values()].map(({ inode }) => inode));
    // What a kill leaves in the middle of a file.
    writeFileSync(join(folderOf(unfinished), "sandbox/99.tmp"), "half");
    const report = await container.backup(folder);
    assert.ok(report.linkedFiles >= 41, `${report.linkedFiles} files were taken over`);
    const files = [...filesIn(folderOf(report.name))].filter(([path]) => path.startsWith("loose/"));
    for (const [path, { inode }] of files) assert.ok(inodes.has(inode), `${path} was copied again`);
    assert.deepEqual(
      readdirSync(join(folderOf(report.name), "sandbox")).filter((name) => name.endsWith(".tmp")),
      [],
    );
    assert.ok(!readdirSync(folder).some((name) => /^(unfinished|removed)_/.test(name)));
    await using copy = await Container.open(folderOf(report.name));
    assert.deepEqual(await readAll(copy), await readAll(container));
  });

  test(`version ${formatVersion}: damage in the container is told, and does not get into a backup that has it intact`, async () => {
    const { container, folder, folderOf } = await filled(formatVersion);
    await using _ = container;
    const fs = new NodeFileSystem();
    const [kept = "", lost = ""] = await Array.fromAsync(container.inspect("loose"), ({ key }) => key);
    const pathOf = (key: string): string => loosePathOf(container.path, key);
    const first = await container.backup(folder);
    flipByte(fs, pathOf(kept), 0);
    const [packed] = await Array.fromAsync(container.inspect("packed"));
    const second = await container.backup(folder, { verify: "full" });
    assert.deepEqual(second.problems, []);
    rmSync(folderOf(first.name), { recursive: true });
    rmSync(folderOf(second.name), { recursive: true });
    flipByte(fs, pathOf(lost), 0);
    const name = formatVersion === 1 ? `packs/${packed?.packId}` : `packed/${packed?.packId}.pack`;
    flipByte(fs, join(container.path, name), (packed?.offset ?? 0) + 3);
    const third = await container.backup(folder);
    const damaged = third.problems.map(({ code, key }) => [code, key]);
    const expected = [kept, lost, ...(formatVersion === 2 ? [packed?.key] : [])].map((key) => ["CORRUPT_OBJECT", key]);
    assert.deepEqual(damaged.sort(), expected.sort());
    // What was copied damaged is no base for the next backup: it is looked at, and told, again.
    assert.deepEqual((await container.backup(folder)).problemCount, expected.length);
    await using copy = await Container.open(folderOf(third.name));
    assert.deepEqual([await copy.has(kept), await copy.has(lost)], [false, false]);
    const restored = await restoreBackup(folder, join(folder, "../restored"), {});
    assert.deepEqual(
      restored.problems.map(({ key }) => key),
      [packed?.key],
    );
  });

  test(`version ${formatVersion}: a full verification copies anew what has rotted in the last backup`, async () => {
    const { container, folder, folderOf } = await filled(formatVersion);
    await using _ = container;
    const first = await container.backup(folder);
    const files = [...filesIn(folderOf(first.name)).keys()];
    const rotten = [
      files.find((path) => path.startsWith("loose/")) as string,
      files.find((path) => /^(packed\/0\.pack|packs\/0)$/.test(path)) as string,
    ];
    for (const path of rotten) flipByte(new NodeFileSystem(), folderOf(`${first.name}/${path}`), 5);
    const full = await container.backup(folder, { verify: "full" });
    for (const path of rotten) {
      assert.deepEqual(readFileSync(folderOf(`${full.name}/${path}`)), readFileSync(join(container.path, path)));
    }
  });
}

test("destinations that are something else are refused, and stay as they are", async () => {
  const { container, folder, folderOf } = await filled(2);
  await using _ = container;
  const parent = temporaryFolder();
  mkdirSync(join(parent, "foreign"));
  writeFileSync(join(parent, "foreign/file"), "mine");
  const refuses = (path: string, message: RegExp): Promise<void> =>
    fails("ALREADY_EXISTS", () => container.backup(path), message);
  await refuses(join(parent, "foreign"), /not a folder of backups \(it has file\)/);
  await refuses(join(parent, "foreign/file"), /is a file/);
  await refuses(container.path, /in the container/);
  await refuses(join(container.path, "loose/backups"), /in the container/);
  symlinkSync(container.path, join(parent, "link"));
  await refuses(join(parent, "link/backups"), /in the container/);
  assert.deepEqual(readdirSync(join(parent, "foreign")), ["file"]);
  const { name } = await container.backup(folder);
  await refuses(folderOf(name), /is a container/);
  await using other = await Container.create(join(parent, "other"));
  await fails("ALREADY_EXISTS", () => other.backup(folder), /another container/);
  await assert.rejects(container.backup(folder, { keep: -1 }), RangeError);
  await fails("NOT_FOUND", () => backupsIn(join(parent, "none"), {}), /no folder/);
  await fails("NOT_A_CONTAINER", () => restoreBackup(join(parent, "foreign"), join(parent, "x"), {}), /neither/);
});

test("one backup at a time goes to a folder", async () => {
  const { container, folder } = await filled(2);
  await using _ = container;
  mkdirSync(folder, { recursive: true });
  const lock = new OsLock(join(folder, "backup.lock"), join(folder, "backup.lock.holder"));
  assert.ok(lock.tryAcquire("test"));
  await fails("LOCKED", () => container.backup(folder), /backup\.lock is locked/);
  lock.close();
  await container.backup(folder);
});

test("what ssh or the other side says comes out as an error", async () => {
  const { container, folder } = await filled(2);
  await using _ = container;
  const { ssh, remoteCommand } = fakeSsh(temporaryFolder());
  const to = (destination: string, options: { ssh?: string; remoteCommand?: string }) => () =>
    container.backup(destination, options);
  await fails("IO_ERROR", to(`h:${folder}`, { ssh: "/none/ssh", remoteCommand }), /cannot be started.*ENOENT/);
  await fails("IO_ERROR", to(`h:${folder}`, { ssh, remoteCommand: "/none/tsdos" }), /exit code 127.*not found/s);
  await fails("IO_ERROR", to(`h:${folder}`, { ssh: "echo", remoteCommand }), /it printed "-- h .*which is not tsdos/);
  await assert.rejects(to(`-oProxyCommand=x:${folder}`, { ssh, remoteCommand }), RangeError);
  await assert.rejects(to("host:", { ssh, remoteCommand }), /"host:" is not \[USER@\]HOST:PATH/);
  await fails(
    "ALREADY_EXISTS",
    to(`h:${container.path}`, { ssh, remoteCommand }),
    /on the other side: .* is a container/,
  );
  // Nothing of the path is seen by the shell there.
  const odd = join(folder, "a b'$(touch x)\"");
  const { name } = await container.backup(`h:${odd}`, { ssh: `${ssh} -p 22`, remoteCommand });
  assert.ok(existsSync(join(odd, name as string, "config.json")));
});

test("a receiver writes to no other paths than those of a container", async () => {
  const key = "ab".repeat(32);
  const good = [
    `loose/${key}`,
    `loose/ab/${key.slice(2)}`,
    `loose/abab/${key.slice(4)}`,
    "packed/0.pack",
    "packs/7.toc",
  ];
  for (const path of [...good, "packs/12", "packs/-1", "packs.idx", "config.json"])
    assert.ok(isBackedUpPath(path), path);
  const bad = [
    "",
    "loose",
    "../x",
    "/etc/passwd",
    "loose/../config.json",
    `loose/ababa/${key.slice(5)}`,
    `loose/AB/${key}`,
  ];
  for (const path of [...bad, "packed/01.pack", "packed/0.pack/x", "packed/lock", "packed//0.pack", "packs/9999999999"])
    assert.ok(!isBackedUpPath(path), path);
  const folder = join(temporaryFolder(), "backups");
  const target = localBackups(new NodeFileSystem(), folder);
  await target.begin({ containerId: "x", formatVersion: 2 }, { verify: "written", dryRun: false });
  for (const path of bad) {
    await fails("ACCESS_DENIED", () => target.put({ path }, [noise(10)]), /no path/);
    await fails("ACCESS_DENIED", () => target.offer([{ path, size: 1, sha256: key }]), /no path/);
    await fails("ACCESS_DENIED", () => target.find(path), /no path/);
    await fails("ACCESS_DENIED", () => target.drop(path), /no path/);
  }
  await target.close();
});

test("frames come out as they went in, however they are cut; a length beyond the bound is refused", () => {
  const payloads = [new Uint8Array(), noise(1), noise(70_000), prose(300)];
  const bytes = Buffer.concat(payloads.map((payload) => printFrame(frameTypes.data, payload)));
  for (const step of [1, 3, 4096, bytes.length]) {
    const parser = new FrameParser();
    const frames = [];
    for (let at = 0; at < bytes.length; at += step) frames.push(...parser.push(bytes.subarray(at, at + step)));
    assert.deepEqual(
      frames.map(({ payload }) => payload),
      payloads.map((payload) => Buffer.from(payload)),
    );
    assert.equal(parser.incomplete, 0);
  }
  assert.throws(() => [...new FrameParser().push(Buffer.from("ffffffff02", "hex"))], /claims 4294967295 bytes/);
});

test("names of complete backups", () => {
  assert.equal(parseBackupName("backup_20260102030405_ab12"), "2026-01-02T03:04:05Z");
  for (const name of ["backup_2026_ab12", "unfinished_abc", "removed_backup_20260102030405_ab12", "last-backup"])
    assert.equal(parseBackupName(name), undefined);
});
