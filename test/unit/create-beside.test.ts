import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { createContainer } from "../../src/container/create-container.ts";
import { TsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { temporaryFolder } from "../support/folders.ts";

const CONTENT = Buffer.from("acknowledged");

/** The system's files; `before` is called right before `config.json` gets its name. */
function filesWith(before: () => Error | undefined): InterceptedFileSystem {
  return new InterceptedFileSystem(new NodeFileSystem(), ({ name, to }: FileCall) => {
    const error = name === "link" && to?.endsWith("/config.json") ? before() : undefined;
    return error && { error };
  });
}

// The second configuration took the place of the first, and objects that were stored by then were not found any more.
for (const formatVersion of [1, 2] as const) {
  test(`of two who create a container in one folder, one succeeds: version ${formatVersion}`, async () => {
    const root = join(temporaryFolder(), "container");
    let acknowledged: Promise<string> | undefined;
    const files = filesWith(() => {
      const { stores } = createContainer(new NodeFileSystem(), root, { loosePrefixLen: 2 });
      acknowledged = stores.combined.insert(CONTENT).then(({ key }) => key);
      return undefined;
    });
    assert.throws(() => createContainer(files, root, { formatVersion, loosePrefixLen: 0 }), { code: "ALREADY_EXISTS" });
    const key = await acknowledged;
    await using container = await Container.open(root);
    assert.equal(container.config.loosePrefixLen, 2);
    assert.deepEqual(await Array.fromAsync(container.keys()), [key]);
    assert.deepEqual((await container.validate()).problems, []);
    assert.deepEqual(
      readdirSync(root).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });
}

test("a container can be created where files cannot have two names", async () => {
  const root = join(temporaryFolder(), "container");
  const files = filesWith(() => new TsdosError("ACCESS_DENIED", "no links", { errno: "EPERM" }));
  createContainer(files, root, {}).stores.close();
  await (await Container.open(root)).close();
  assert.throws(() => createContainer(files, root, {}), { code: "ALREADY_EXISTS" });
});

test("a creation that fails leaves no file, and one that was interrupted is completed", async () => {
  const root = join(temporaryFolder(), "container");
  const files = filesWith(() => new TsdosError("NO_SPACE", "full"));
  assert.throws(() => createContainer(files, root, {}), { code: "NO_SPACE" });
  assert.deepEqual(
    readdirSync(root).filter((name) => name.startsWith("config")),
    [],
  );
  for (const name of ["config.json.tmp", "config.json.0b1c.tmp"]) writeFileSync(join(root, name), "");
  createContainer(new NodeFileSystem(), root, {}).stores.close();
  assert.deepEqual(
    readdirSync(root).filter((name) => name.startsWith("config")),
    ["config.json"],
  );
});
