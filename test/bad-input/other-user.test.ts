import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Container } from "../../src/container/container.ts";
import { temporaryFolder } from "../support/folders.ts";

const CALLS = ["pack", "clean", "repair", "repack", "rebuildIndex"] as const;
const DRY = ["clean", "repair"] as const;

/** Opens the container of its argument as a user who may only read it, and prints how the calls end. */
const OTHER_USER = `
  const { Container } = await import(process.argv[2]);
  // Before it becomes somebody who may not read the sources.
  await (await Container.open(process.argv[1])).status();
  process.setgid(65534);
  process.setuid(65534);
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
    const args = [
      "--input-type=module",
      "-e",
      OTHER_USER,
      root,
      pathToFileURL(join(import.meta.dirname, "../../src/index.ts")).href,
    ];
    const ends = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
    const calls = formatVersion === 2 ? CALLS : CALLS.filter((name) => name !== "rebuildIndex");
    for (const name of calls) assert.equal(ends[name], "ACCESS_DENIED", name);
    for (const name of DRY) assert.equal(ends[`${name} --dry-run`], "done", name);
  });
}
