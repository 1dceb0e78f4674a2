import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, lchownSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Container } from "../../src/container/container.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { loosePathOf } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";

const CALLS = ["pack", "clean", "repair", "repack", "rebuildIndex"] as const;
const DRY = ["clean", "repair"] as const;

const NOBODY = 65_534;
const INDEX = pathToFileURL(join(import.meta.dirname, "../../src/index.ts")).href;

/** Opens the container of its argument as a user who may only read it, and prints how the calls end. */
const OTHER_USER = `
  const { Container } = await import(process.argv[2]);
  // Before it becomes somebody who may not read the sources.
  await (await Container.open(process.argv[1])).status();
  process.setgid(${NOBODY});
  process.setuid(${NOBODY});
  const container = await Container.open(process.argv[1], { lockTimeoutMs: 0 });
  const ends = {};
  for (const name of ${JSON.stringify(CALLS)}) ends[name] = await container[name]().then(() => "done", (error) => error.code);
  for (const name of ${JSON.stringify(DRY)})
    ends[name + " --dry-run"] = await container[name]({ dryRun: true }).then(() => "done", (error) => error.code);
  await container.close();
  console.log(JSON.stringify(ends));
`;

for (const formatVersion of [1, 2] as const) {
  test(`version ${formatVersion}: what changes a container is refused to a user who may not write its lock`, async (t) => {
    if (process.getuid?.() !== 0) return t.skip("only root can become somebody else");
    const root = join(temporaryFolder(), "container");
    await using container = await Container.create(root, { formatVersion });
    await container.insert(Buffer.from("packed"), { to: "packed" });
    chmodSync(dirname(root), 0o755);
    const args = ["--input-type=module", "-e", OTHER_USER, root, INDEX];
    const ends = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
    const calls = formatVersion === 2 ? CALLS : CALLS.filter((name) => name !== "rebuildIndex");
    for (const name of calls) assert.equal(ends[name], "ACCESS_DENIED", name);
    for (const name of DRY) assert.equal(ends[`${name} --dry-run`], "done", name);
  });
}

/** Reads everything in the container of its argument as a user who may write in its folder, but not its index. */
const READER = `
  const { Container } = await import(process.argv[2]);
  const first = await Container.open(process.argv[1]);
  await first.status();
  await first.close();
  process.setgid(${NOBODY});
  process.setuid(${NOBODY});
  const container = await Container.open(process.argv[1], { lockTimeoutMs: 0 });
  for await (const { bytes } of container.readMany(await Array.fromAsync(container.keys()))) console.log(String(bytes));
  await container.close();
`;

/** SQLite left files beside `packs.idx` that belonged to the reader: from then on its owner could not write it (`SQLITE_READONLY`). */
test("version 1: who reads and may not write the index leaves nothing that is in its owner's way", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("only root can become somebody else");
  const root = join(temporaryFolder(), "container");
  const made = await Container.create(root, { formatVersion: 1 });
  await made.insert(Buffer.from("packed"), { to: "packed" });
  await made.close();
  chmodSync(dirname(root), 0o755);
  chmodSync(root, 0o777);
  chmodSync(join(root, "packs.idx"), 0o644);
  const before = readdirSync(root);
  const printed = execFileSync(process.execPath, ["--input-type=module", "-e", READER, root, INDEX], {
    encoding: "utf8",
  });
  assert.equal(printed, "packed\n");
  assert.deepEqual(readdirSync(root), before);
});

/** SQLite made it writable for its owner only: in a folder that is shared, whoever had not made the container could not pack. */
test("version 1: who shares a folder by its group may pack what another one has made", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("only root can become somebody else");
  const parent = temporaryFolder();
  chownSync(parent, 0, NOBODY);
  chmodSync(parent, 0o2775);
  const root = join(parent, "container");
  const umask = process.umask(0o002);
  try {
    await using container = await Container.create(root, { formatVersion: 1 });
    await container.insert(Buffer.from("packed"), { to: "packed" });
    assert.equal(statSync(join(root, "packs.idx")).mode & 0o777, 0o664);
    for (const path of ["packs.idx", "sandbox/tsdos.lock"]) assert.equal(statSync(join(root, path)).gid, NOBODY);
  } finally {
    process.umask(umask);
  }
});

/** Packs and backs up the container of its argument as somebody who may not do all in its loose folders, and prints what is told. */
const NOT_EVERYWHERE = `
  const { Container } = await import(process.argv[2]);
  const warm = await Container.open(process.argv[1]);
  await warm.pack({ dryRun: true });
  await warm.close();
  process.setgid(${NOBODY});
  process.setuid(${NOBODY});
  const container = await Container.open(process.argv[1], { lockTimeoutMs: 0 });
  const { objects, problems } = await container.backup(process.argv[1] + "-backups");
  const { packedObjects, cleanedObjects, unreadable } = await container.pack();
  await container.close();
  console.log(JSON.stringify({ objects, problems, packedObjects, cleanedObjects, unreadable }));
`;

/** One file that somebody else had written with another umask stopped all of it. */
for (const formatVersion of [1, 2] as const) {
  test(`version ${formatVersion}: what belongs to somebody else is told, and all else is packed and backed up`, async (t) => {
    if (process.getuid?.() !== 0) return t.skip("only root can become somebody else");
    const parent = temporaryFolder();
    const root = join(parent, "container");
    const made = await Container.create(root, { formatVersion });
    const keys = await Array.fromAsync(made.insertMany(smallContents(40, 1)), ({ key }) => key);
    await made.close();
    for (const name of [".", ...readdirSync(root, { recursive: true, encoding: "utf8" })])
      lchownSync(join(root, name), NOBODY, NOBODY);
    chownSync(parent, NOBODY, NOBODY);
    const alone = keys.filter((key) => keys.every((other) => other === key || !other.startsWith(key.slice(0, 2))));
    const paths = alone.map((key) => loosePathOf(root, key));
    const [file, unlisted, unreached, kept] = paths as [string, string, string, string];
    chownSync(file, 0, 0);
    chmodSync(file, 0o600);
    for (const [path, mode] of [
      [unlisted, 0o700],
      [unreached, 0o744],
      [kept, 0o755],
    ] as const) {
      chownSync(dirname(path), 0, 0);
      chmodSync(dirname(path), mode);
    }
    const args = ["--input-type=module", "-e", NOT_EVERYWHERE, root, INDEX];
    const told = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
    const pathsOf = (listed: readonly { readonly code: string; readonly path: string }[]): string[] => {
      assert.ok(listed.every(({ code }) => code === "ACCESS_DENIED"));
      return listed.map(({ path }) => path).sort();
    };
    const unread = [file, dirname(unlisted), dirname(unreached)];
    assert.deepEqual(pathsOf(told.problems), unread.toSorted());
    assert.deepEqual(pathsOf(told.unreadable), [...unread, dirname(kept)].sort());
    assert.deepEqual([told.objects, told.packedObjects, told.cleanedObjects], [37, 37, 36]);
  });
}
