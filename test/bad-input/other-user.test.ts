import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Container } from "../../src/container/container.ts";
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
