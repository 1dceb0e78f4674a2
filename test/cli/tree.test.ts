import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { noise } from "../../src/testing/contents.ts";
import { builtMain } from "../support/built.ts";
import { exfatDisk } from "../support/mounts.ts";
import { cliTest, errorOf, json, lines, type Workspace } from "./support.ts";

/** Every path below `root`, as bytes in latin1, with what `restore` has to bring back. */
function describeTree(root: string): [string, string][] {
  const names = ["", ...readdirSync(root, { recursive: true, encoding: "latin1" })];
  return names.toSorted().map((name) => {
    const at = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name, "latin1")]);
    const stat = lstatSync(at);
    const content = stat.isFile() ? readFileSync(at).toString("base64") : stat.isSymbolicLink() ? readlinkSync(at) : "";
    return [name, `${stat.mode.toString(8)} ${content}`];
  });
}

function makeTree(work: Workspace): void {
  work.write("tree/plain", "text");
  work.write("tree/same", "text", 0o600);
  work.write("tree/tool", "#!/bin/sh\n", 0o755);
  work.write("tree/locked/inside", "x".repeat(100_000), 0o444);
  work.write("tree/name\twith\nall \\ sorts\r", "odd");
  work.write("tree/large", noise(5_000_000));
  work.write("tree/below/same as large", readFileSync(work.path("tree/large")), 0o640);
  work.write("tree/none", "");
  mkdirSync(work.path("tree/empty/emptier"), { recursive: true });
  symlinkSync("plain", work.path("tree/link"));
  symlinkSync("/nowhere/at all", work.path("tree/dangling"));
  symlinkSync("..", work.path("tree/below/up"));
  writeFileSync(Buffer.concat([Buffer.from(`${work.path("tree")}/`), Buffer.from([0x62, 0xff, 0xfe])]), "not UTF-8");
  for (const [name, mode] of [
    ["locked", 0o555],
    ["empty", 0o700],
    ["", 0o751],
  ] as const)
    chmodSync(work.path("tree", name), mode);
}

cliTest("a tree comes back byte for byte, with modes, links, empty folders and names of any bytes", async (work) => {
  await work.container();
  makeTree(work);
  const added = await work.run(["add", "-r", "tree", "--manifest", "tree.manifest"]);
  assert.deepEqual([added.code, added.stderr], [0, ""]);
  assert.equal(lines(added.stdout).length, 9);
  const manifest = readFileSync(work.path("tree.manifest"), "utf8");
  assert.equal(lines(manifest).length, 1 + 9 + 3 + 5);
  const restored = await work.run(["restore", "--manifest", "tree.manifest", "copy", "--json"]);
  assert.deepEqual([restored.code, restored.stderr], [0, ""]);
  assert.deepEqual(json(restored.stdout)[0], { files: 9, folders: 5, links: 3, bytes: 10_100_030 });
  assert.deepEqual(describeTree(work.path("copy")), describeTree(work.path("tree")));
  // Nothing depends on the order of the file system, or on where the objects are.
  await work.run(["pack"]);
  await work.run(["add", "-r", "copy/", "--manifest", "copy.manifest", "--quiet"]);
  assert.equal(readFileSync(work.path("copy.manifest"), "utf8"), manifest);
  await work.run(["restore", "--manifest", "copy.manifest", "packed copy"]);
  assert.deepEqual(describeTree(work.path("packed copy")), describeTree(work.path("tree")));
});

cliTest("the walk leaves out special files, the container and its own manifest, and says so", async (work) => {
  await work.container();
  work.write("file", "content");
  spawnSync("mkfifo", [work.path("pipe")]);
  const { code, stdout, stderr } = await work.run(["add", "-r", ".", "--manifest", "manifest"]);
  assert.equal(code, 0);
  assert.deepEqual(
    lines(stdout).map((line) => line.slice(69)),
    ["./file"],
  );
  assert.match(stderr, /left out \.\/pipe: neither a file, a folder nor a link/);
  assert.match(stderr, /left out \.\/container: /);
  assert.deepEqual(readdirSync(work.folder).toSorted(), ["container", "file", "manifest", "pipe"]);
  const quiet = await work.run(["add", "-r", ".", "-q"]);
  assert.equal(quiet.stderr, "");
  // Notes were text, between errors that are JSON. Whoever reads standard error line by line could not.
  const asJson = await work.run(["add", "-r", ".", "missing", "--json"]);
  const told = json(asJson.stderr).map(({ note, error }) => note ?? (error as { code: string }).code);
  assert.deepEqual(told.toSorted(), [
    "SOURCE_FAILED",
    "left out ./container: part of this command's own work",
    "left out ./pipe: neither a file, a folder nor a link",
  ]);
});

cliTest("links on the command line are followed, links below are not", async (work) => {
  await work.container();
  work.write("real/file", "content");
  symlinkSync("real", work.path("link"));
  symlinkSync("../real", work.path("real/loop"));
  const { stdout } = await work.run(["add", "-r", "link"]);
  assert.deepEqual(
    lines(stdout).map((line) => line.slice(69)),
    ["link/file"],
  );
});

/** With `--force`, the second of two such names took the place of the first, and nobody was told. */
cliTest("names that differ only in case are told, not lost, where they are one", async (work, t) => {
  const disk = exfatDisk(t, 32);
  if (disk === undefined) return;
  await work.container();
  const large = noise(5_000_000);
  for (const [name, content] of Object.entries({
    README: "A",
    readme: "b",
    "Dir/x": "c",
    BIG: large,
    big: noise(5_000_001),
  }))
    work.write(`tree/${name}`, content);
  await work.run(["add", "-r", "tree", "--manifest", "manifest"]);
  for (const force of [[], ["--force"], ["--force"]]) {
    const restored = await work.run(["restore", "--manifest", "manifest", ...force, join(disk, `copy${force.length}`)]);
    assert.equal(restored.code, 1);
    assert.match(restored.stderr, /(readme|README): its name differs only in case/);
    assert.match(restored.stderr, /(big|BIG): its name differs only in case/);
    assert.equal(lines(restored.stderr).length, 2);
  }
  // Elsewhere, such names are two files, which are replaced.
  for (const force of [[], ["--force"]])
    assert.equal((await work.run(["restore", "--manifest", "manifest", ...force, "copy"])).code, 0);
  assert.deepEqual(describeTree(work.path("copy")), describeTree(work.path("tree")));
});

cliTest("restore refuses what is not empty, unless it is forced, and then follows no link out of it", async (work) => {
  await work.container();
  work.write("tree/a/file", "content");
  work.write("tree/b", "other");
  await work.run(["add", "-r", "tree", "--manifest", "manifest"]);
  work.write("out/b", "mine");
  work.write("victim", "mine");
  const refused = await work.run(["restore", "--manifest", "manifest", "out", "--json"]);
  assert.deepEqual([refused.code, errorOf(refused)?.code], [1, "ALREADY_EXISTS"]);
  assert.deepEqual(readdirSync(work.path("out")), ["b"]);
  assert.equal(readFileSync(work.path("out/b"), "utf8"), "mine");
  assert.equal((await work.run(["restore", "--manifest", "manifest", "out", "--force"])).code, 0);
  assert.deepEqual(describeTree(work.path("out")), describeTree(work.path("tree")));

  mkdirSync(work.path("trap/outside"), { recursive: true });
  mkdirSync(work.path("trap/out"));
  symlinkSync("../outside", work.path("trap/out/a"));
  symlinkSync("../../victim", work.path("trap/out/b"));
  const trapped = await work.run(["restore", "--manifest", "manifest", "trap/out", "--force"]);
  assert.equal(trapped.code, 1);
  assert.match(trapped.stderr, /trap\/out\/a/);
  assert.deepEqual(readdirSync(work.path("trap/outside")), []);
  assert.equal(readFileSync(work.path("victim"), "utf8"), "mine");
  assert.equal(readFileSync(work.path("trap/out/b"), "utf8"), "other");
});

// None of the files with the same content was restored when the folder of one could not be made, and the others were not told of.
cliTest("a folder that cannot be made keeps no file from other folders", async (work) => {
  await work.container();
  for (const name of ["tree/a/one", "tree/b/two", "tree/three"]) work.write(name, "the same");
  for (const name of ["tree/a/large", "tree/b/large"]) work.write(name, noise(5_000_000));
  await work.run(["add", "-r", "tree", "--manifest", "manifest"]);
  work.write("out/a", "in the way");
  const { code, stderr } = await work.run(["restore", "--manifest", "manifest", "out", "--force"]);
  assert.equal(code, 1);
  assert.match(stderr, /cannot make out\/a: EEXIST/);
  assert.deepEqual(readdirSync(work.path("out"), { recursive: true }).toSorted(), [
    "a",
    "b",
    "b/large",
    "b/two",
    "three",
  ]);
  assert.equal(readFileSync(work.path("out/a"), "utf8"), "in the way");
});

// Large objects were written to a name that could be guessed: through a link that stood there, or over a file, which was then removed.
cliTest("restore leaves alone what stands where it might keep what is not complete", async (work) => {
  await work.container();
  work.write("tree/large", noise(5_000_000), 0o600);
  work.write("tree/same", noise(5_000_000));
  await work.run(["add", "-r", "tree", "--manifest", "manifest"]);
  work.write("victim", "mine");
  mkdirSync(work.path("out"));
  // The program gets the number of this shell.
  const { code, stderr } = work.shell(`
    name=out/.tsdos-restore-$$; ln -s ../victim $name; echo mine > $name-copy
    exec "${process.execPath}" "${builtMain}" restore --manifest manifest out --force`);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(readFileSync(work.path("victim"), "utf8"), "mine");
  const names = readdirSync(work.path("out")).toSorted();
  assert.deepEqual(names.slice(2), ["large", "same"]);
  assert.match(names.join(" "), /^\.tsdos-restore-(\d+) \.tsdos-restore-\1-copy large same$/);
  assert.ok(lstatSync(work.path("out", names[0] as string)).isSymbolicLink());
  assert.equal(readFileSync(work.path("out", names[1] as string), "utf8"), "mine\n");
  assert.deepEqual(describeTree(work.path("out")).slice(-2), describeTree(work.path("tree")).slice(-2));
});

cliTest("a manifest that is not one, or leads out of the folder, writes nothing", async (work) => {
  const [key = ""] = await work.container(["content"]);
  const header = "# tsdos manifest 1\n";
  const manifests: [string, RegExp][] = [
    ["", /is empty/],
    ["something else\n", /not a manifest/],
    [`${header}${key}\t7\t100644\tgood\n${key}\t7\t100644\t../out\n`, /manifest, line 3: .*out of the tree/],
    [`${header}${key}\t7\t100644\t/tmp/out\n`, /line 2: .*out of the tree/],
    [`${header}${key}\t7\n`, /line 2: /],
    // A manifest that was cut off was taken for a whole one: the last path lost its end, and the rest did not come back.
    [header.trimEnd(), /line 1: .*cut off/],
    [`${header}${key}\t7\t100644\tgood\n${key}\t7\t100644\tdocs/re`, /line 3: .*cut off/],
    // A byte that is not UTF-8 became U+FFFD. The file came back under a name that it never had.
    [`${header}${key}\t7\t100644\tgood\n${key}\t7\t100644\tcaf\xe9\n`, /line 3: .*UTF-8/],
  ];
  for (const [text, message] of manifests) {
    work.write("manifest", Buffer.from(text, "latin1"));
    const { code, stderr } = await work.run(["restore", "--manifest", "manifest", "out"]);
    assert.match(stderr, message);
    assert.equal(code, 2);
    assert.equal(existsSync(work.path("out")), false);
  }
});

cliTest("restore never writes through a link of the manifest, or in the place of the tree's folder", async (work) => {
  const [key = ""] = await work.container(["content"]);
  mkdirSync(work.path("outside"));
  const [file, link] = [`${key}\t7\t100644\t`, "-\t0\t120777\t"];
  for (const [text, message] of [
    [`${file}!\n${link}a\t${work.path("outside")}\n${file}a/file\n`, /line 4: .*"a\/file" leads through "a"/],
    [`${file}!\n${link}b\t..\n${link}b/c\tx\n`, /line 4: .*"b\/c" leads through "b"/],
    [`${file}.\n${file}ok\n`, /line 2: .*own folder/],
    [`${file}f\n${file}f\n`, /line 3: .*twice/],
  ] as const) {
    work.write("manifest", `# tsdos manifest 1\n${text}`);
    const { code, stderr } = await work.run(["restore", "--manifest", "manifest", "out"]);
    assert.match(stderr, message);
    assert.equal(code, 2);
    assert.equal(existsSync(work.path("out")), false);
  }
  assert.deepEqual(readdirSync(work.path("outside")), []);
});

cliTest("missing and damaged objects are named with their files, and all others are restored", async (work) => {
  const large = noise(5_000_000);
  await work.container();
  for (const name of ["good", "missing", "damaged"]) work.write(`tree/${name}`, `content of ${name}`);
  work.write("tree/damaged and large", large);
  const added = json((await work.run(["add", "-r", "tree", "--manifest", "manifest", "--json"])).stdout);
  const keyOf = (name: string): string => String(added.find(({ path }) => path === `tree/${name}`)?.["key"]);
  await work.run(["rm", keyOf("missing")]);
  work.damage(keyOf("damaged").slice(-40), 3);
  work.damage(keyOf("damaged and large").slice(-40), 4_900_000);
  const { code, stdout, stderr } = await work.run(["restore", "--manifest", "manifest", "out", "--json"]);
  const errors = json(stderr).map(({ error }) => error as { code: string; message: string });
  assert.deepEqual(errors.map((error) => error.code).toSorted(), ["CORRUPT_OBJECT", "CORRUPT_OBJECT", "NOT_FOUND"]);
  assert.match(errors.find((error) => error.code === "NOT_FOUND")?.message ?? "", /needed for missing/);
  assert.ok(code === 3 || code === 4);
  assert.equal(json(stdout)[0]?.["files"], 1);
  assert.deepEqual(readdirSync(work.path("out")), ["good"]);
});
