import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { platform } from "node:os";
import { cliTest, errorOf, type Finished, json, lines, mountTest } from "./support.ts";

const absent = "0".repeat(64);
/** Of so many command lines one is run in a process of its own, too. */
const REAL_ONE_OF = 7;

cliTest("a command line that cannot be meant is a usage error, and does nothing", async (work) => {
  await work.container();
  work.write("folder/file", "x");
  const cases: [string[], RegExp][] = [
    [[], /no command.*'tsdos --help'/],
    [["optimize"], /no command.*'tsdos optimize --help'/],
    [["lss"], /unknown command 'lss' \(Did you mean ls\?\)\n$/],
    [["help", "lss"], /unknown command 'lss'/],
    [["--path", "", "ls"], /--path is empty/],
    // `add` with an empty name for the manifest stored everything, and only then failed.
    [["add", "-r", "folder", "--manifest", ""], /--manifest is empty/],
    [["add", "folder/file", ""], /PATH is empty/],
    [["restore", "--manifest", "", "out"], /--manifest is empty/],
    [["restore", "--manifest", "m", ""], /DEST is empty/],
    [["repair", "--from", "other", "--from", ""], /--from is empty/],
    [["validate", "--checkpoint", ""], /--checkpoint is empty/],
    [["has", "--from-file", ""], /--from-file is empty/],
    [["export", "--archive", ""], /--archive is empty/],
    [["export", ""], /CONTAINER is empty/],
    [["import", "container", "--keys="], /--keys is empty/],
    [["restore-backup", "", "out"], /SOURCE is empty/],
    [["dump", ""], /FILE is empty/],
    [["repack", "--compression", "lzma:9"], /lzma:9/],
    [["add", "--recompress", "--compress", "keep", "folder"], /of no use with --compress keep/],
    [["pack", "--recompress", "--no-compress"], /of no use with --compress no/],
    [["repack", "--recompress"], /of no use with --compress keep/],
    [["import", "container", "--recompress", "--compress", "yes"], /of no use with --compress yes/],
    [["import", "--archive", "file", "--no-verify"], /--no-verify is for another container/],
    [["export", "--archive", "file", "--compress", "no"], /for another container/],
    [["repair", "--threads", "0"], /0/],
    [["validate", "--seed", "1"], /--sample/],
    [["backup", "host:"], /HOST:PATH/],
    [["dump", "folder/file"], /expected config\.json/],
    [["export", "--archive", "folder"], /folder is not a plain file/],
    [["add", "-r", "folder", "--manifest", "-"], /standard output/],
    [["restore", "--manifest", "-", "out"], /standard input.*read twice/],
    [["ls", "--frob"], /unknown option '--frob'/],
    [["cat"], /missing required argument 'KEY'/],
    [["cat", "ABC"], /ABC.*not a key/],
    [["cat", absent.toUpperCase().replace("0", "A")], /not a key/],
    [["cat", "--range", "5-2", absent], /ends before it starts/],
    [["has"], /--from-file/],
    [["rm", absent, "--from-file", "-"], /--from-file/],
    [["rm", absent, "nonsense"], /nonsense.*not a key/],
    [["init", "--pack-size", "big", "--path", "new"], /size/],
    [["init", "--loose-prefix-len", "5", "--path", "new"], /0 to 4/],
    [["init", "--format", "3", "--path", "new"], /Allowed choices are 1, 2/],
    [["init", "--compression", "lzma:9", "--path", "new"], /lzma:9/],
    [["inspect", "sandbox"], /Allowed choices are loose, packed/],
    [["add", "folder"], /folder is a folder.*-r/],
    [["add", "-", "-"], /only once/],
    [["add", "-r", "container"], /container itself/],
    [["add", "-r", "folder", "folder", "--manifest", "m"], /exactly one folder/],
    [["add", "-r", "folder/file", "--manifest", "m"], /not a folder/],
    [["restore", "out"], /--manifest/],
    [["--wait", "soon", "ls"], /duration/],
    [["--lock-timeout", "soon", "ls"], /duration/],
  ];
  // Each in one process with the others, and some of them as they are run for real.
  const together = work.runAll(cases.map(([args]) => args));
  for (const [i, [args, message]] of cases.entries()) {
    const alone = i % REAL_ONE_OF === 0 ? [await work.run(args)] : [];
    for (const { code, stdout, stderr } of [together[i] as Finished, ...alone]) {
      assert.match(stderr, message, args.join(" "));
      assert.match(stderr, /^tsdos: (USAGE|INVALID_KEY): .*\n$/s, args.join(" "));
      assert.deepEqual([code, stdout], [2, ""], args.join(" "));
    }
  }
  assert.deepEqual(readdirSync(work.folder).toSorted(), ["container", "folder"]);
  assert.deepEqual(await work.allKeys(), []);
});

// errors.md listed missing files under both codes.
cliTest(
  "a missing source is SOURCE_FAILED; a missing file or folder that is to be looked at is NOT_FOUND",
  async (work) => {
    await work.container();
    for (const [code, exitCode, lines] of [
      [
        "SOURCE_FAILED",
        1,
        ["add nosuch", "has --from-file nosuch", "restore --manifest nosuch out", "import --archive nosuch"],
      ],
      ["NOT_FOUND", 3, ["dump nosuch/config.json", "dump nosuch/0.toc", "backups nosuch"]],
    ] as const) {
      for (const line of lines) {
        const finished = await work.run([...line.split(" "), "--json"]);
        assert.deepEqual([errorOf(finished)?.code, finished.code], [code, exitCode], line);
      }
    }
  },
);

// `/dev/stdout` that leads to a file was replaced by a new file, and what the command printed was gone with the old one.
cliTest("a new file does not take the place of where standard output and error go, nor of a device", async (work) => {
  await work.container();
  work.write("folder/file", "x");
  symlinkSync("/dev/stdout", work.path("link"));
  for (const [line, message] of [
    ["tsdos add -r folder --manifest /dev/stdout > out", /\/dev\/stdout is where standard output goes/],
    ["tsdos add -r folder --manifest out > out", /out is where standard output goes/],
    ["tsdos add -r folder --manifest /dev/stderr 2> out; e=$?; cat out >&2; (exit $e)", /where standard error goes/],
    ["tsdos export --archive /dev/fd/1 >> out", /where standard output goes/],
    ["set -o pipefail; tsdos export --archive /dev/stdout | cat", /not a plain file/],
    ["tsdos add -r folder --manifest /dev/null", /not a plain file/],
    // Not /dev/stdout itself, which a program that does not refuse it might remove.
    ["tsdos validate --checkpoint link > out", /link is where standard output goes/],
    ["tsdos validate --checkpoint folder", /not a plain file/],
  ] as const) {
    const { code, stdout, stderr } = work.shell(line);
    assert.match(stderr, message, line);
    assert.deepEqual([code, stdout], [2, ""], line);
  }
  assert.deepEqual(readdirSync(work.folder).toSorted(), ["container", "folder", "link", "out"]);
  assert.deepEqual(await work.allKeys(), []);
});

// An archive took the place of config.json, or of a pack, when it was given that name.
cliTest("nothing is written in the container but by the store", async (work) => {
  const [key = ""] = await work.container(["content"]);
  work.write("folder/file", "x");
  symlinkSync("container", work.path("link"));
  symlinkSync("../container/config.json", work.path("folder/link"));
  const before = readFileSync(work.path("container/config.json"));
  work.write("manifest", `# tsdos manifest 1\n${key}\t7\t100644\tconfig.json\n`);
  for (const line of [
    "add -r folder --manifest container/config.json",
    "add -r folder --manifest folder/link",
    "export --archive link/config.json",
    "export --archive container/new",
    "validate --checkpoint container/new",
    "restore --manifest manifest container --force",
    "restore --manifest manifest link --force",
    "restore --manifest manifest link/new/folder",
  ]) {
    const { code, stderr } = await work.run(line.split(" "));
    assert.match(stderr, /is in the container/, line);
    assert.equal(code, 2);
  }
  work.write("manifest", `# tsdos manifest 1\n${key}\t7\t100644\tcontainer/config.json\n${key}\t7\t100644\tother\n`);
  const above = await work.run(["restore", "--manifest", "manifest", ".", "--force"]);
  assert.match(above.stderr, /container belongs to the container itself/);
  assert.equal(above.code, 1);
  assert.equal(readFileSync(work.path("other"), "utf8"), "content");
  assert.deepEqual(readFileSync(work.path("container/config.json")), before);
  assert.deepEqual(readdirSync(work.path("container")).toSorted(), ["config.json", "loose", "packed", "sandbox"]);
  assert.deepEqual(await work.allKeys(), [key]);
});

cliTest("an error is one line that names what and where, or JSON, and a stack only when asked for", async (work) => {
  await work.container();
  const plain = await work.run(["cat", absent]);
  assert.deepEqual(plain, { code: 3, stdout: "", stderr: `tsdos: NOT_FOUND: no object ${absent}\n` });
  const asJson = await work.run(["--json", "cat", absent]);
  assert.deepEqual(json(asJson.stderr), [
    { error: { code: "NOT_FOUND", message: `no object ${absent}`, details: { key: absent } } },
  ]);
  assert.match((await work.run(["--debug", "cat", absent])).stderr, /\n +at /);
  assert.equal(errorOf(await work.run(["ls", "--json", "--frob"]))?.code, "USAGE");
  const odd = await work.run(["-p", "a\nb\u001b[31m", "ls"]);
  assert.match(odd.stderr, /^tsdos: NOT_A_CONTAINER: .*a\\nb\\x1b\[31m is not a container.*\n$/);
});

cliTest("what is no container, a newer or a damaged one is refused by name and stays as it is", async (work) => {
  mkdirSync(work.path("empty"));
  const nowhere = await work.run(["-p", "nowhere", "ls", "--json"]);
  assert.deepEqual([nowhere.code, errorOf(nowhere)?.code], [1, "NOT_A_CONTAINER"]);
  assert.match(errorOf(nowhere)?.message ?? "", /nowhere/);
  assert.deepEqual(readdirSync(work.folder), ["empty"]);
  const empty = await work.run(["-p", "empty", "add", "-", "--json"], { input: "x" });
  assert.deepEqual([empty.code, errorOf(empty)?.code], [1, "NOT_A_CONTAINER"]);
  assert.deepEqual(readdirSync(work.path("empty")), []);

  await work.container(["content"]);
  const again = await work.run(["init", "--json"]);
  assert.deepEqual([again.code, errorOf(again)?.code], [1, "ALREADY_EXISTS"]);
  const config = work.path("container/config.json");
  const text = readFileSync(config, "utf8");
  writeFileSync(config, text.replace(/("container_version": *)2/, "$199"));
  const newer = await work.run(["ls", "--json"]);
  assert.deepEqual([newer.code, errorOf(newer)?.code], [1, "UNSUPPORTED_VERSION"]);
  for (const damaged of [text.slice(0, 20), "", "[]"]) {
    writeFileSync(config, damaged);
    const finished = await work.run(["ls", "--json"]);
    assert.deepEqual([finished.code, errorOf(finished)?.code], [4, "INVALID_CONFIG"], damaged);
    assert.match(errorOf(finished)?.message ?? "", /config\.json/);
    assert.equal(readFileSync(config, "utf8"), damaged);
  }
  writeFileSync(config, text);
  assert.equal(lines((await work.run(["ls"])).stdout).length, 1);
});

cliTest(
  "files that vanish or cannot be read while others are added are named, and the others are stored",
  async (work) => {
    await work.container();
    for (const name of ["first", "gone", "replaced", "last"]) work.write(name, `content of ${name}`);
    const unreadable = platform() === "linux" ? ["/proc/self/mem"] : [];
    const running = work.start(["add", "first", "-", "gone", "missing", "replaced", ...unreadable, "last", "--json"]);
    // The paths were looked at, and it waits for its input.
    await running.firstLine();
    unlinkSync(work.path("gone"));
    unlinkSync(work.path("replaced"));
    mkdirSync(work.path("replaced"));
    running.child.stdin.end("content of -");
    const { code, stdout, stderr } = await running.finished;
    assert.deepEqual(
      json(stdout).map(({ path }) => path),
      ["first", "-", "last"],
    );
    const errors = json(stderr).map(({ error }) => error as { code: string; details: { path: string } });
    assert.deepEqual(
      errors.map(({ details }) => details.path).toSorted(),
      ["gone", "missing", "replaced", ...unreadable].toSorted(),
    );
    assert.ok(errors.every((error) => error.code === "SOURCE_FAILED"));
    assert.equal(code, 1);
    assert.equal((await work.allKeys()).length, 3);
    assert.deepEqual(work.leftovers(), []);
  },
);

cliTest("damage is exit code 4, wherever it is met, and never wrong bytes", async (work) => {
  const content = "content that is long enough to be hit in the middle";
  const [key = ""] = await work.container([content], "packed");
  const file = work.damage(".pack", 20);
  const cat = await work.run(["cat", key, "--json"]);
  assert.deepEqual([cat.code, cat.stdout, errorOf(cat)?.code], [4, "", "CORRUPT_OBJECT"]);
  assert.ok(errorOf(cat)?.message.includes(key));
  assert.ok(errorOf(cat)?.message.includes(file.split("/").slice(-2).join("/")));
  const validated = await work.run(["validate"]);
  assert.equal(validated.code, 4);
  assert.match(validated.stdout, /^CORRUPT_OBJECT +.*/m);
  assert.match(validated.stdout, /^valid +no/m);
  work.damage(".toc", 70);
  assert.equal((await work.run(["dump", "container/packed/0.toc"])).code, 4);
  work.write("good", content);
  const mended = await work.run(["add", "--check-existing", "good"]);
  assert.equal(mended.code, 0, mended.stderr);
  assert.equal((await work.run(["cat", key])).stdout, content);
});

cliTest("a loose object that is damaged is not packed, stays where it is, and is exit code 4", async (work) => {
  const [key = ""] = await work.container(["content"]);
  work.damage(key.slice(-40), 0);
  const packed = await work.run(["pack", "--json"]);
  assert.equal(packed.code, 4);
  assert.deepEqual(json(packed.stdout)[0]?.["damaged"], [key]);
  assert.ok(errorOf(packed)?.message.includes(key));
  assert.match((await work.run(["inspect", "loose"])).stdout, new RegExp(key));
});

cliTest("keys in a file are checked with their line", async (work) => {
  const [key = ""] = await work.container(["content"]);
  work.write("keys", `${key}\nrubbish\n`);
  const { code, stderr } = await work.run(["rm", "--from-file", "keys"]);
  assert.equal(code, 2);
  assert.match(stderr, /^tsdos: INVALID_KEY: keys, line 2: "rubbish" is not a key/);
  assert.deepEqual(await work.allKeys(), [key]);
  const missing = await work.run(["rm", "--from-file", "nothing"]);
  assert.match(missing.stderr, /^tsdos: SOURCE_FAILED: cannot read nothing: ENOENT/);
  assert.equal(missing.code, 1);
});

mountTest("a full disk is exit code 6, and leaves the store as it was", 3, async (work) => {
  const [key = ""] = await work.container(["before"]);
  work.write("small", "y".repeat(1000));
  const big = { input: Buffer.alloc(6 * 1024 ** 2, "0123456789") };
  for (const where of ["loose", "packed"]) {
    const { code, stdout, stderr } = await work.run(["add", "--compress", "no", "--to", where, "-"], big);
    assert.match(stderr, /^tsdos: NO_SPACE: .+\n$/);
    assert.deepEqual([code, stdout], [6, ""]);
    assert.deepEqual(work.leftovers(), []);
  }
  assert.equal((await work.run(["cat", key])).stdout, "before");
  assert.equal((await work.run(["add", "small"])).code, 0);
  assert.ok(await work.isValid());
});

cliTest("help that cannot be written is an error as any other", async (work) => {
  const { code, stderr } = work.shell("tsdos --help > /dev/full");
  assert.match(stderr, /^tsdos: NO_SPACE: cannot write to standard output[^\n]*\n$/);
  assert.equal(code, 6);
});

mountTest("output that meets a full disk is exit code 6, not a short file", 0.25, async (work, _) => {
  // Node's own stream for files writes what fits, and says that all was well.
  const [key = ""] = await work.container(["z".repeat(150_000)]);
  const { code, stderr } = work.shell(`tsdos cat ${key} > copy`);
  assert.match(stderr, /^tsdos: NO_SPACE: cannot write to standard output: ENOSPC/);
  assert.equal(code, 6);
});

mountTest(
  "a read-only folder can be read, and says so when it cannot be written",
  16,
  async (work, remountReadOnly) => {
    const keys = [...(await work.container(["loose"])), ""].slice(0, 1);
    work.write("file", "packed");
    keys.push((await work.run(["add", "--to", "packed", "file"])).stdout.slice(0, 64));
    remountReadOnly();
    for (const args of [
      ["cat", ...keys],
      ["ls"],
      ["has", ...keys],
      ["stat", ...keys],
      ["status"],
      ["validate"],
      ["inspect", "packed"],
    ]) {
      const { code, stdout, stderr } = await work.run(args);
      assert.deepEqual([code, stderr], [0, ""], args[0]);
      if (args[0] === "cat") assert.equal(stdout, "loosepacked");
    }
    for (const args of [
      ["add", "-"],
      ["add", "-", "--to", "packed"],
      ["pack"],
      ["rm", ...keys],
      ["init", "-p", "new"],
    ]) {
      const finished = await work.run([...args, "--json"], { input: "more" });
      assert.deepEqual([finished.code, errorOf(finished)?.code], [1, "ACCESS_DENIED"], `${args} ${finished.stderr}`);
      const folder = work.path(args[0] === "init" ? "new" : "container");
      assert.ok(String(errorOf(finished)?.details["path"]).startsWith(folder), finished.stderr);
    }
  },
);

cliTest("output that cannot be written is told by its code", async (work) => {
  await work.container(["content"]);
  const { code, stderr } = work.shell("tsdos ls > /dev/full");
  assert.match(stderr, /^tsdos: NO_SPACE: cannot write to standard output/);
  assert.equal(code, 6);
  rmSync(work.path("container"), { recursive: true });
  assert.equal(work.shell("tsdos ls > /dev/full 2> /dev/full").code, 1);
});
