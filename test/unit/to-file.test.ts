import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type OpenStores, openStoresAt } from "../../src/container/open-stores.ts";
import { TsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { noise } from "../../src/testing/contents.ts";
import { type Fault, type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { newContainer } from "../support/damage.ts";
import { flipByte } from "../support/port-files.ts";

const MIB = 1024 ** 2;
const LONG_NAME = "x".repeat(255);

/** A folder with everything that a path of a file can be, and what is there: names, modes, contents. */
function places(folder: string): { readonly paths: string[]; readonly state: () => unknown } {
  mkdirSync(join(folder, "elsewhere"), { recursive: true });
  for (const name of ["file", LONG_NAME, "elsewhere/linked"]) {
    writeFileSync(join(folder, name), `mine, called ${name}`);
    chmodSync(join(folder, name), 0o606);
  }
  symlinkSync("elsewhere/linked", join(folder, "link"));
  symlinkSync("elsewhere/none", join(folder, "dangling"));
  symlinkSync("link", join(folder, "link to link"));
  const names = ["new", "file", LONG_NAME, "link", "dangling", "link to link"];
  const state = (): unknown =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .sort()
      .map((name) => {
        const stat = lstatSync(join(folder, name));
        return [name, stat.mode, stat.isFile() ? readFileSync(join(folder, name), "latin1") : undefined];
      });
  return { paths: names.map((name) => join(folder, name)), state };
}

/** A folder beside the container where everybody may make files. */
function folderOfAll(root: string): string {
  const folder = join(root, "../places");
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  chmodSync(join(root, ".."), 0o755);
  return folder;
}

/** The container in a file system of which some calls fail. */
function openFailing(root: string, fails: (call: FileCall) => boolean, error: Error): OpenStores {
  const before = (call: FileCall): Fault | undefined => (fails(call) ? { error } : undefined);
  return openStoresAt(new InterceptedFileSystem(new NodeFileSystem(), before), root);
}

// The file was cut before it was known whether there is anything to write, and then removed; of a link, the link.
test("an object that cannot be read changes nothing at the path", async () => {
  for (const size of [1000, 5 * MIB]) {
    const { root, container } = await newContainer({ compression: "none" });
    const { key } = await container.insert(noise(size, size), { to: "packed" });
    flipByte(new NodeFileSystem(), join(root, "packed/0.pack"), size - 1);
    const object = await container.extract(key);
    const { paths, state } = places(join(root, "../places"));
    const before = state();
    for (const path of paths) await assert.rejects(async () => object?.toFile(path), { code: "CORRUPT_OBJECT" });
    assert.deepEqual(state(), before);
    await container.close();
  }
});

test("nor does a disk that is full, or fails at the end", async () => {
  const { root, container } = await newContainer();
  const { key } = await container.insert(noise(5 * MIB, 1));
  await container.close();
  const { paths, state } = places(join(root, "../places"));
  const faults: ((call: FileCall) => boolean)[] = [
    ({ name, position }) => name === "write" && position === MIB,
    ({ name }) => name === "rename",
    ({ name, path }) => name === "close" && path.includes("places"),
  ];
  for (const fails of faults) {
    const error = new TsdosError("NO_SPACE", "full");
    const stores = openFailing(root, fails, error);
    const object = await stores.combined.extract(key);
    const unchanged = state();
    // A new file has its name from the beginning: nothing is renamed.
    const written = fails({ name: "rename", path: "" }) ? paths.filter((path) => existsSync(path)) : paths;
    for (const path of written)
      await assert.rejects(
        async () => object?.toFile(path),
        (one) => one === error,
      );
    assert.deepEqual(state(), unchanged);
    stores.close();
  }
});

test("what is at the path is replaced, with its permissions, through links, and whatever the length of its name", async () => {
  const { root, container } = await newContainer();
  const content = noise(5 * MIB, 2);
  const object = await container.extract((await container.insert(content)).key);
  const { paths } = places(join(root, "../places"));
  for (const path of paths) {
    const before = statSync(path, { throwIfNoEntry: false });
    const wasLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
    await object?.toFile(path);
    assert.ok(readFileSync(path).equals(content), path);
    assert.equal(lstatSync(path).isSymbolicLink(), wasLink);
    if (before !== undefined) assert.equal(statSync(path).mode, before.mode);
  }
  assert.deepEqual(readdirSync(join(root, "../places/elsewhere")).sort(), ["linked", "none"]);
  await container.close();
});

test("a file in a folder where none may be made is written where it is", async () => {
  const { root, container } = await newContainer();
  const content = noise(1000, 3);
  const { key } = await container.insert(content);
  await container.close();
  const error = new TsdosError("ACCESS_DENIED", "read-only folder");
  const stores = openFailing(root, ({ name }) => name === "createLike", error);
  const object = await stores.combined.extract(key);
  const path = join(root, "../target");
  writeFileSync(path, noise(5000));
  const { ino } = statSync(path);
  await object?.toFile(path);
  assert.deepEqual([readFileSync(path), statSync(path).ino], [Buffer.from(content), ino]);
  stores.close();
});

test("what must not be written is not replaced", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("only root can become somebody else");
  const { root, container } = await newContainer();
  const object = await container.extract((await container.insert(Buffer.from("content"))).key);
  const folder = folderOfAll(root);
  writeFileSync(join(folder, "theirs"), "theirs", { mode: 0o644 });
  process.seteuid?.(65_534);
  try {
    await assert.rejects(async () => object?.toFile(join(folder, "theirs")), { code: "ACCESS_DENIED" });
  } finally {
    process.seteuid?.(0);
  }
  assert.equal(readFileSync(join(folder, "theirs"), "utf8"), "theirs");
  await container.close();
});

// Root replaced it with a file of its own, which whoever it belonged to could not read any more.
test("whose the replaced file is stays as it was, or its group can do no more than all others", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("only root can give files away");
  const { root, container } = await newContainer();
  const object = await container.extract((await container.insert(Buffer.from("content"))).key);
  const folder = folderOfAll(root);
  const path = join(folder, "theirs");
  const owned = (): number[] => [statSync(path).uid, statSync(path).gid, statSync(path).mode & 0o777];
  writeFileSync(path, "theirs");
  chownSync(path, 65_534, 65_533);
  chmodSync(path, 0o660);
  await object?.toFile(path);
  assert.deepEqual(owned(), [65_534, 65_533, 0o660]);
  process.setegid?.(65_532);
  process.seteuid?.(65_534);
  try {
    await object?.toFile(path);
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
  assert.deepEqual(owned(), [65_534, 65_532, 0o600]);
  assert.equal(readFileSync(path, "utf8"), "content");
  await container.close();
});
