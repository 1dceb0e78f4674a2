import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import { OsLock } from "../../src/fs/os-lock.ts";
import { cliTest, errorOf, json, lines } from "./support.ts";

const texts = ["one", "two", "three", "four"];
const NONE = "0".repeat(64);

cliTest("backup, backups and restore-backup", async (workspace) => {
  const keys = await workspace.container(texts);
  const dry = await workspace.run(["backup", "there", "--dry-run", "--json"]);
  assert.equal(json(dry.stdout)[0]?.["objects"], 4);
  assert.ok(!existsSync(workspace.path("there")));
  const first = await workspace.run(["backup", "there", "--json"]);
  assert.deepEqual([first.code, first.stderr], [0, ""]);
  const { name, copiedFiles } = json(first.stdout)[0] as { name: string; copiedFiles: number };
  assert.equal(copiedFiles, 5);
  await workspace.run(["rm", keys[0] as string]);
  const second = await workspace.run(["backup", "there", "--keep", "0", "--verify", "full"]);
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stdout, new RegExp(`^removed +${name}$`, "m"));
  const list = await workspace.run(["backups", "there", "--json"]);
  assert.deepEqual(
    json(list.stdout).map(({ objects, complete }) => [objects, complete]),
    [[3, true]],
  );
  const restored = await workspace.run(["restore-backup", "there", "restored"]);
  assert.equal(restored.code, 0, restored.stderr);
  const listed = await workspace.run(["-p", "restored", "ls"]);
  assert.deepEqual(lines(listed.stdout), keys.slice(1).sort());
  for (const [args, code, says] of [
    [["restore-backup", "there", "restored"], 1, "ALREADY_EXISTS"],
    [["backup", "container/in"], 1, "ALREADY_EXISTS"],
    [["backup", "there", "--keep", "x"], 2, "USAGE"],
    [["backup", "host:there", "--ssh", "no-such-program"], 1, "IO_ERROR"],
    [["restore-backup", "nowhere", "x"], 1, "NOT_A_CONTAINER"],
    [["backups", "nowhere"], 3, "NOT_FOUND"],
  ] as const) {
    const failed = await workspace.run([...args, "--json"]);
    assert.deepEqual([failed.code, errorOf(failed)?.code], [code, says], args.join(" "));
  }
});

cliTest("a backup tells what is damaged, and has the rest", async (workspace) => {
  const [key = ""] = await workspace.container(texts);
  workspace.damage(key.slice(2), 0);
  const result = await workspace.run(["backup", "there", "--json"]);
  assert.deepEqual([result.code, errorOf(result)?.code, errorOf(result)?.details["key"]], [4, "CORRUPT_OBJECT", key]);
  assert.equal((await workspace.run(["-p", "there/last-backup", "validate"])).code, 0);
});

cliTest("import and export between containers", async (workspace) => {
  const keys = await workspace.container(texts);
  workspace.write("some", `${keys[1]}\n${NONE}\n`);
  const few = await workspace.run(["export", "other", "--keys", "some", "--json"]);
  assert.deepEqual([few.code, errorOf(few)?.code, json(few.stdout)[0]?.["importedObjects"]], [3, "NOT_FOUND", 1]);
  const dry = await workspace.run(["-p", "other", "import", "container", "--dry-run", "--json"]);
  assert.deepEqual([json(dry.stdout)[0]?.["importedObjects"], json(dry.stdout)[0]?.["presentObjects"]], [3, 1]);
  assert.equal((await workspace.run(["-p", "other", "import", "container"])).code, 0);
  assert.deepEqual(lines((await workspace.run(["-p", "other", "ls"])).stdout), keys.toSorted());
  assert.equal((await workspace.run(["import"])).code, 2);
  assert.equal((await workspace.run(["export", "x", "--archive", "y"])).code, 2);
  workspace.write("spoiled", "no key\n");
  for (const file of ["spoiled", "nowhere"]) {
    assert.notEqual((await workspace.run(["export", "new", "--keys", file])).code, 0);
    assert.ok(!existsSync(workspace.path("new")), "nothing is made before the keys can be read");
  }
});

cliTest(
  "a dry run of an export to a container that is missing says what would be exported, and makes nothing",
  async (workspace) => {
    const keys = await workspace.container(texts);
    workspace.write("some", `${keys[1]}\n${keys[2]}\n${NONE}\n`);
    workspace.damage(keys[2]?.slice(2) as string, 0);
    const all = await workspace.run(["export", "missing", "--dry-run", "--json"]);
    const { importedObjects, presentObjects, rawBytes, dryRun } = json(all.stdout)[0] ?? {};
    assert.deepEqual([all.code, importedObjects, presentObjects, rawBytes, dryRun], [4, 3, 0, 10, true]);
    const some = await workspace.run(["export", "missing", "--dry-run", "--keys", "some"]);
    assert.equal(some.code, 4);
    assert.match(some.stdout, /^would import +1$/m);
    assert.match(some.stdout, /^missing +1$/m);
    assert.ok(!existsSync(workspace.path("missing")));
    workspace.write("folder/file", "somebody else's");
    for (const options of [["--dry-run"], []]) {
      const foreign = await workspace.run(["export", "folder", ...options]);
      assert.deepEqual(
        [foreign.code, errorOf(await workspace.run(["export", "folder", "--json", ...options]))?.code],
        [1, "ALREADY_EXISTS"],
      );
    }
    assert.deepEqual(readdirSync(workspace.path("folder")), ["file"]);
  },
);

cliTest("import and export between containers compress and verify as they are told", async (workspace) => {
  const [key = ""] = await workspace.container(["compressible ".repeat(500)]);
  const codecIn = async (path: string): Promise<unknown> =>
    json((await workspace.run(["-p", path, "stat", "--json", key])).stdout)[0]?.["codec"];
  for (const [path, flags, codec] of [
    ["usual", [], "zstd"],
    ["raw", ["--compress", "no", "--no-verify"], "none"],
    ["again", ["--recompress"], "zstd"],
  ] as const) {
    assert.equal((await workspace.run(["export", path, ...flags])).code, 0);
    assert.equal(await codecIn(path), codec, path);
    await workspace.run(["-p", `${path}-2`, "init"]);
    assert.equal((await workspace.run(["-p", `${path}-2`, "import", "container", ...flags])).code, 0);
    assert.equal(await codecIn(`${path}-2`), codec, path);
  }
});

cliTest("export waits for the packer of the other container as long as it is told to", async (workspace) => {
  await workspace.container(texts);
  await workspace.run(["-p", "other", "init"]);
  const lock = new OsLock(workspace.path("other/packed/lock"), workspace.path("other/packed/lock.holder"));
  assert.ok(lock.tryAcquire("a test"));
  const result = await workspace.run(["--wait", "0", "export", "other"]);
  lock.close();
  assert.equal(result.code, 5);
  assert.match(result.stderr, /"a test"/);
  assert.doesNotMatch(result.stderr, /waited/);
});

cliTest(
  "an archive goes through a file and through a pipe; a cut one gives what it has, with exit code 4",
  async (workspace) => {
    const keys = await workspace.container(texts, "packed");
    const made = await workspace.run(["export", "--archive", "file.tsa", "--json"]);
    assert.equal(json(made.stdout)[0]?.["archiveBytes"], statSync(workspace.path("file.tsa")).size);
    assert.deepEqual(readdirSync(workspace.folder).sort(), ["container", "file.tsa"]);
    const piped = workspace.shell(
      "tsdos -p piped init -q && tsdos export --archive - | tsdos -p piped import --archive -",
    );
    assert.deepEqual([piped.code, piped.stderr], [0, ""]);
    assert.deepEqual(lines((await workspace.run(["-p", "piped", "ls"])).stdout), keys.toSorted());
    const input = readFileSync(workspace.path("file.tsa"));
    truncateSync(workspace.path("file.tsa"), input.length - 70);
    await workspace.run(["-p", "cut", "init"]);
    const cut = await workspace.run(["-p", "cut", "import", "--archive", "file.tsa", "--json"]);
    assert.deepEqual(
      [cut.code, errorOf(cut)?.code, json(cut.stdout)[0]?.["importedObjects"]],
      [4, "CORRUPT_OBJECT", 3],
    );
    const whole = await workspace.run(["-p", "cut", "import", "--archive", "-", "--json"], { input });
    assert.deepEqual([whole.code, json(whole.stdout)[0]?.["importedObjects"]], [0, 1]);
    const none = await workspace.run(["-p", "cut", "import", "--archive", "-"], { input: "hello" });
    assert.equal(none.code, 4);
    assert.equal((await workspace.run(["-p", "cut", "import", "--archive", "no-such-file"])).code, 1);
  },
);
