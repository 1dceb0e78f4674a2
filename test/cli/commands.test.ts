import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { noise, prose } from "../../src/testing/contents.ts";
import { cliTest, errorOf, json, lines } from "./support.ts";

const keyOf = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex");
const absent = "0".repeat(64);

cliTest("init creates a container as it is told, and its alias in the folder of TSDOS_PATH", async (work) => {
  const options = ["--compression", "zlib:+6", "--pack-size", "64MiB", "--format", "1", "--loose-prefix-len", "3"];
  const created = await work.run(["init", ...options]);
  assert.equal(created.stderr, "");
  assert.equal(created.code, 0);
  const config = JSON.parse(readFileSync(work.path("container/config.json"), "utf8"));
  assert.equal(config.container_version, 1);
  assert.equal(config.pack_size_target, 64 * 1024 ** 2);
  assert.equal(config.loose_prefix_len, 3);
  const { code, stdout } = await work.run(["create", "--json"], { env: { TSDOS_PATH: "elsewhere" } });
  assert.equal(code, 0);
  const [report] = json(stdout);
  assert.equal(report?.["formatVersion"], 2);
  assert.ok(readFileSync(work.path("elsewhere/config.json"), "utf8").includes(String(report?.["containerId"])));
  // An empty variable is none.
  assert.equal((await work.run(["ls"], { env: { TSDOS_PATH: "" } })).code, 0);
});

cliTest("add prints key, size and path of files, of folders and of standard input", async (work) => {
  await work.container();
  work.write("one", "first");
  work.write("folder/two", "second");
  work.write("folder/below/three", "first");
  const plain = await work.run(["add", "one", "-", "-r", "folder/"], { input: "from the pipe" });
  assert.deepEqual(lines(plain.stdout), [
    `${keyOf("first")}  5  one`,
    `${keyOf("from the pipe")}  13  -`,
    `${keyOf("first")}  5  folder/below/three`,
    `${keyOf("second")}  6  folder/two`,
  ]);
  assert.deepEqual([plain.code, plain.stderr], [0, ""]);
  const flags = ["--to", "packs", "--compress", "yes", "--durability", "process", "--check-existing"];
  const again = await work.run(["add-files", "--json", ...flags, "one", "-"], { input: "new" });
  assert.deepEqual(json(again.stdout), [
    { key: keyOf("first"), size: 5, path: "one", inserted: false, where: "loose" },
    { key: keyOf("new"), size: 3, path: "-", inserted: true, where: "packed" },
  ]);
});

cliTest("add reads what can be read only once, such as the pipe of a process substitution", async (work) => {
  await work.container();
  const { code, stdout } = work.shell("tsdos add <(printf hello) /proc/version");
  assert.equal(code, 0);
  assert.ok(stdout.startsWith(`${keyOf("hello")}  5  /dev/fd/`));
  assert.ok(stdout.includes(keyOf(readFileSync("/proc/version"))));
});

cliTest("cat writes objects, parts of them, and only from where it is told", async (work) => {
  const large = noise(3_000_000);
  const [small, packed] = [(await work.container(["0123456789"]))[0] ?? "", keyOf(large)];
  work.write("large", large);
  await work.run(["add", "large", "--to", "packed"]);
  const part = async (range: string): Promise<string> => (await work.run(["cat", "--range", range, small])).stdout;
  assert.deepEqual(await Promise.all(["2-4", "7-", "-2", "0-99"].map(part)), ["234", "789", "89", "0123456789"]);
  const copied = work.shell(
    `tsdos cat-file ${packed} ${small} ${packed} > copy && tail -c 3000000 copy | cmp - large && wc -c < copy`,
  );
  assert.deepEqual([copied.code, copied.stdout.trim()], [0, "6000010"]);
  const cases: [string, string, number][] = [
    ["loose", small, 0],
    ["packed", small, 3],
    ["packed", packed, 0],
    ["loose", packed, 3],
    ["auto", absent, 3],
  ];
  for (const [from, key, expected] of cases) {
    const { code, stderr } = await work.run(["cat", "--from", from, "--range", "0-0", key]);
    assert.equal(code, expected, `${from} ${stderr}`);
    assert.equal(expected === 0, stderr === "");
  }
  assert.equal((await work.run(["cat", "--range", "10-", small])).code, 2);
});

cliTest("ls, has and stat tell what is there", async (work) => {
  const contents = ["a", "bb", "ccc"];
  const keys = (await work.container(contents)).toSorted();
  const ls = await work.run(["ls"]);
  assert.deepEqual(lines(ls.stdout), keys);
  const long = await work.run(["ls", "-l", "--json"]);
  assert.deepEqual(
    json(long.stdout).map(({ key, rawSize, where }) => [key, rawSize, where]),
    keys.map((key) => [key, contents.find((content) => keyOf(content) === key)?.length, "loose"]),
  );
  assert.match((await work.run(["ls", "--long"])).stdout, new RegExp(`^${keyOf("bb")} {2}2 {2}loose$`, "m"));
  const has = await work.run(["has", keyOf("a"), absent]);
  assert.deepEqual(has, { code: 3, stdout: `${keyOf("a")}  present\n${absent}  missing\n`, stderr: "" });
  const listed = await work.run(["has", "--json", "--from-file", "-"], { input: `${keys.join("\r\n")}\n\n` });
  assert.deepEqual([listed.code, json(listed.stdout)], [0, keys.map((key) => ({ key, present: true }))]);
  const stat = await work.run(["stat", "--json", keyOf("ccc"), absent]);
  assert.equal(stat.code, 3);
  assert.equal(json(stat.stdout)[0]?.["rawSize"], 3);
  assert.equal(errorOf(stat)?.code, "NOT_FOUND");
  assert.match((await work.run(["stat", keyOf("ccc")])).stdout, /^size +3 bytes$/m);
});

// The line feed before what was perhaps meant came out as "\\n", and threads of an archive had nothing to do, but nobody said so.
cliTest("a usage error says what was perhaps meant", async (work) => {
  await work.container();
  const cases: [string[], RegExp][] = [
    [["pack", "--dryrun"], /unknown option '--dryrun' \(Did you mean --dry-run\?\)\n$/],
    [["init", "store"], /too many arguments.*with -p DIR/],
    [["export", "--archive", "file", "--threads", "2"], /for another container/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await work.run(args);
    assert.match(stderr, message);
    assert.equal(code, 2);
  }
});

// `add --compress yes` without `--to` compressed nothing, and said nothing.
cliTest("add notes that compression is not for loose objects", async (work) => {
  await work.container();
  work.write("file", "x");
  const loose = /^tsdos: loose objects are stored as they are/;
  for (const flags of [["--compress", "yes"], ["--recompress"]]) {
    assert.match((await work.run(["add", ...flags, "file"])).stderr, loose);
    assert.equal((await work.run(["add", ...flags, "--to", "auto", "file"])).stderr, "");
  }
  assert.equal((await work.run(["add", "--compress", "no", "file"])).stderr, "");
});

cliTest("add and pack compress what looks compressed already only with --recompress", async (work) => {
  await work.container();
  const looksPacked = (seed: number): Buffer => Buffer.concat([gzipSync(""), prose(5000, seed)]);
  const codecOf = async (bytes: Buffer): Promise<unknown> =>
    json((await work.run(["stat", "--json", keyOf(bytes)])).stdout)[0]?.["codec"];
  const flags = [[], ["--recompress"], ["--recompress", "--compress", "auto"]];
  for (const [seed, recompress] of flags.entries()) {
    const codec = seed === 0 ? "none" : "zstd";
    work.write("added", looksPacked(seed));
    assert.equal((await work.run(["add", "--to", "packed", ...recompress, "added"])).code, 0);
    assert.equal(await codecOf(looksPacked(seed)), codec, `add ${recompress}`);
    work.write("loose", looksPacked(10 + seed));
    await work.run(["add", "loose"]);
    assert.equal((await work.run(["pack", ...recompress])).code, 0);
    assert.equal(await codecOf(looksPacked(10 + seed)), codec, `pack ${recompress}`);
  }
});

cliTest("pack moves objects to packs, clean removes what pack left", async (work) => {
  const contents = Array.from({ length: 30 }, (_, index) => `content ${index}`.repeat(200));
  const keys = await work.container(contents);
  const kept = await work.run(["pack", "--no-clean", "--no-compress", "--json"]);
  assert.equal(kept.stderr, "");
  assert.deepEqual([json(kept.stdout)[0]?.["packedObjects"], json(kept.stdout)[0]?.["cleanedObjects"]], [30, 0]);
  const planned = await work.run(["clean", "--dry-run", "--json"]);
  assert.deepEqual([json(planned.stdout)[0]?.["looseObjects"], json(planned.stdout)[0]?.["dryRun"]], [30, true]);
  assert.equal(lines((await work.run(["inspect", "loose"])).stdout).length, 30);
  assert.match((await work.run(["clean"])).stdout, /removed +30 objects|removed +30 loose objects/);
  assert.equal((await work.run(["inspect", "loose"])).stdout, "");
  const inspected = json((await work.run(["inspect", "packed", "--json"])).stdout);
  assert.deepEqual(inspected.map(({ key }) => key).toSorted(), keys.toSorted());
  assert.ok(inspected.every(({ codec }) => codec === "none"));
  work.write("more", "more".repeat(1000));
  await work.run(["add", "more"]);
  const packed = await work.run(["optimize", "pack", "--no-verify", "--compress", "yes"]);
  assert.deepEqual([packed.code, packed.stderr], [0, ""]);
  assert.match(packed.stdout, /^packed objects +1$/m);
  assert.match(
    (await work.run(["stat", keyOf("more".repeat(1000))])).stdout,
    /^where +packed, in pack \d+ at byte \d+$/m,
  );
  const status = json((await work.run(["status", "--json"])).stdout)[0] as {
    packed: { objects: number };
    loose: { objects: number };
  };
  assert.deepEqual([status.packed.objects, status.loose.objects], [31, 0]);
  assert.match((await work.run(["status"])).stdout, /^packed +31 objects, /m);
});

cliTest("rm deletes objects, given or listed, and tells which were missing", async (work) => {
  const keys = await work.container(
    Array.from({ length: 50 }, (_, index) => `${index}`),
    "packed",
  );
  const [first = "", ...rest] = keys;
  assert.deepEqual(await work.run(["rm", first, first]), { code: 0, stdout: `${first}\n`, stderr: "" });
  const listed = await work.run(["rm", "--from-file", "-", "--json"], { input: keys.join("\n") });
  assert.equal(listed.code, 3);
  assert.deepEqual(
    json(listed.stdout),
    rest.map((key) => ({ key })),
  );
  assert.equal(json(listed.stderr).length, 1);
  assert.equal((await work.run(["ls"])).stdout, "");
});

cliTest("rebuild-index, validate and dump", async (work) => {
  await work.container(["one", "two"], "packed");
  const [report] = json((await work.run(["validate", "--json"])).stdout);
  assert.deepEqual(
    [report?.["valid"], report?.["mode"], report?.["objects"], report?.["bytes"], report?.["problems"]],
    [true, "full", 2, 6, []],
  );
  const dumped = await work.run(["dump", "container/packed/0.toc", "--json"]);
  assert.deepEqual([dumped.code, dumped.stderr], [0, ""]);
  assert.equal(json(dumped.stdout)[0]?.["file"], "toc");
  assert.ok(dumped.stdout.includes(keyOf("one")));
  const text = await work.run(["dump", "container/config.json"]);
  assert.match(text.stdout, /^file=config/);
  rmSync(work.path("container/packed/index"), { recursive: true, force: true });
  const rebuilt = await work.run(["rebuild-index", "--json"]);
  assert.deepEqual([rebuilt.code, json(rebuilt.stdout)[0]?.["objects"]], [0, 2]);
  assert.match((await work.run(["validate"])).stdout, /^valid +yes$/m);
});

// The header was called valid. By the format, it is not that of this file.
cliTest("dump tells that a table of contents has the header of another pack", async (work) => {
  await work.container(["one"], "packed");
  copyFileSync(work.path("container/packed/0.toc"), work.path("7.toc"));
  const { code, stdout } = await work.run(["dump", "7.toc", "--json"]);
  const [, header, entry] = json(stdout);
  assert.deepEqual([code, header?.["damaged"], entry?.["damaged"]], [4, "the header is that of pack 0", undefined]);
});

// They were read as a number, little-endian: in the reverse order, and not at all of fewer than four.
cliTest("dump tells the first bytes of a pack in their order, however few there are", async (work) => {
  for (const [bytes, firstBytes] of [
    ["28b52ffd0102", "28b52ffd"],
    ["010203", "010203"],
    ["0a", "0a"],
    ["", undefined],
  ] as const) {
    work.write("0.pack", Buffer.from(bytes, "hex"));
    const [dumped] = json((await work.run(["dump", "0.pack", "--json"])).stdout);
    assert.deepEqual([dumped?.["size"], dumped?.["firstBytes"]], [bytes.length / 2, firstBytes]);
    if (firstBytes === "28b52ffd") assert.equal(dumped?.["looksLike"], "zstd");
  }
});

cliTest("help and version are printed on standard output", async (work) => {
  const version = await work.run(["--version"]);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  for (const args of [["--help"], ["help", "add"], ["add", "--help"]]) {
    const { code, stdout, stderr } = await work.run(args);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^Usage: tsdos/);
  }
  assert.match((await work.run(["completion", "fish"])).stdout, /^complete -c tsdos/m);
});
