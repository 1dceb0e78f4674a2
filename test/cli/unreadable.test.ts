import assert from "node:assert/strict";
import { renameSync, rmSync, symlinkSync } from "node:fs";
import { backupsIn } from "../../src/index.ts";
import { cliTest, errorOf, json, lines, type Workspace } from "./support.ts";

const texts = ["one", "two", "three", "four", "five"];

/** Makes a loose object, or its folder, what nobody can read: a link to itself. Returns its path. */
function spoil(work: Workspace, key: string, what: "file" | "folder"): string {
  const folder = work.path("container/loose", key.slice(0, 2));
  const path = what === "file" ? `${folder}/${key.slice(2)}` : folder;
  renameSync(path, work.path("good"));
  symlinkSync(path, path);
  return path;
}

function mend(work: Workspace, path: string): void {
  rmSync(path);
  renameSync(work.path("good"), path);
}

for (const what of ["file", "folder"] as const) {
  cliTest(
    `a ${what} that cannot be read is told by every command, which does the rest, with exit code 1`,
    async (work) => {
      const [key = ""] = await work.container(texts);
      assert.equal((await work.run(["backup", "backups"])).code, 0);
      const path = spoil(work, key, what);
      const commands = [
        ["backup", "backups", "--keep", "0"],
        ["export", "other"],
        ["export", "--archive", "archive"],
        ["-p", "other", "import", "container"],
        ["status"],
        ["pack", "--dry-run"],
        ["pack"],
      ];
      for (const args of commands) {
        const ended = await work.run([...args, "--json"]);
        const error = errorOf(ended);
        assert.deepEqual([ended.code, error?.code, error?.details["path"]], [1, "IO_ERROR", path], args.join(" "));
        const report = json(ended.stdout)[0];
        assert.equal(report?.["unreadableCount"], 1, args.join(" "));
        if (args[0] === "backup") assert.deepEqual(report["removed"], []);
      }
      // For people, in one line each.
      const packed = await work.run(["pack"]);
      assert.match(packed.stdout, /^unreadable +1$/m);
      assert.match(packed.stderr, /^tsdos: IO_ERROR: cannot .*\(ELOOP\); .* passed over, and is as it was\n$/);
      const backup = await work.run(["backup", "backups", "--keep", "1"]);
      assert.match(backup.stderr, /^tsdos: no earlier backup was removed: /m);
      assert.match((await work.run(["backups", "backups"])).stdout, /, 1 problem$/m);
      assert.match((await work.run(["status"])).stdout, /^last backup .*, 1 problem$/m);
      assert.equal((await backupsIn(work.path("backups"))).length, 3);
      for (const command of ["validate", "repair"]) {
        const { code, stdout } = await work.run([command]);
        assert.equal(code, 4);
        assert.ok(/^IO_ERROR +cannot .*ELOOP/m.test(stdout) && stdout.includes(path), stdout);
      }
      for (const args of [["ls"], ["ls", "-l"], ["inspect", "loose"]]) {
        const listed = await work.run(args);
        const isWhole = what === "file" && args.length === 1 && args[0] === "ls";
        assert.equal(listed.code, isWhole ? 0 : 1, args.join(" "));
        assert.equal(lines(listed.stdout).length, args[0] === "inspect" ? 0 : texts.length - (isWhole ? 0 : 1));
      }
      mend(work, path);
      assert.equal((await work.run(["pack"])).code, 0);
      const last = await work.run(["backup", "backups", "--keep", "0", "--json"]);
      const removed = json(last.stdout)[0]?.["removed"] as string[] | undefined;
      assert.deepEqual([last.code, removed?.length], [0, 3]);
      assert.equal((await work.run(["-p", "backups/last-backup", "validate"])).code, 0);
    },
  );

  cliTest(`a ${what} that cannot be read does not keep clean from the others`, async (work) => {
    const [key = ""] = await work.container(texts);
    assert.equal((await work.run(["pack", "--no-clean"])).code, 0);
    const path = spoil(work, key, what);
    const cleaned = await work.run(["clean", "--json"]);
    assert.deepEqual([cleaned.code, errorOf(cleaned)?.details["path"]], [1, path]);
    assert.equal(json(cleaned.stdout)[0]?.["looseObjects"], texts.length - 1);
    mend(work, path);
    assert.equal(json((await work.run(["clean", "--json"])).stdout)[0]?.["looseObjects"], 1);
    assert.ok(await work.isValid());
  });
}
