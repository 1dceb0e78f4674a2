import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { OsLock } from "../../src/fs/os-lock.ts";
import type { ContainerStatus, RepairReport } from "../../src/index.ts";
import { appendEntry } from "../support/damage.ts";
import { cliTest, errorOf, type Finished, json } from "./support.ts";

const report = ({ stdout }: Finished): RepairReport => json(stdout)[0] as unknown as RepairReport;
const texts = ["one text", "another text", "a third text"];

for (const formatVersion of [1, 2] as const) {
  const pack = formatVersion === 1 ? "packs/0" : "packed/0.pack";
  const quarantine = formatVersion === 1 ? "container/sandbox/tsdos.quarantine" : "container/quarantine";

  cliTest(`repair --dry-run, repair, and repair --from: version ${formatVersion}`, async (work) => {
    const keys = await work.container(texts, "packed", { formatVersion });
    work.write("file", "a loose object");
    const loose = (await work.run(["add", "file", "--to", "loose"])).stdout.slice(0, 64);
    const nothing = await work.run(["repair", "--json"]);
    assert.deepEqual([nothing.code, nothing.stderr, report(nothing).objects], [0, "", 4]);
    cpSync(work.path("container"), work.path("other"), { recursive: true });
    work.damage(pack, 0);
    work.damage(loose.slice(2), 0);
    const lost = [keys[0], loose].sort();

    const dry = await work.run(["repair", "--dry-run", "--json"]);
    assert.deepEqual([dry.code, dry.stderr], [4, ""]);
    assert.deepEqual([report(dry).dryRun, report(dry).lost, [...report(dry).lostKeys].sort()], [true, 2, lost]);
    assert.equal(report(dry).quarantined, 2);
    assert.ok(!existsSync(work.path(quarantine)));
    assert.equal((await work.allKeys()).length, 4);
    const help = await work.run(["repair", "--dry-run", "--from", "other"]);
    assert.equal(help.code, 0, "the other one has them");
    assert.match(
      help.stdout,
      /^taken from elsewhere +2\nfiles in quarantine .*\nlost +none\ndry run +nothing was changed$/m,
    );

    const real = await work.run(["repair", "--json"]);
    assert.deepEqual([real.code, real.stderr], [4, ""]);
    const { lostKeys, quarantined, lostKeysFile, dryRun } = report(real);
    assert.deepEqual([dryRun, [...lostKeys].sort(), quarantined], [false, lost, 2]);
    assert.deepEqual(
      json(readFileSync(lostKeysFile, "utf8"))
        .map(({ key }) => key)
        .sort(),
      lost,
    );
    assert.equal((await work.run(["validate"])).code, 0);
    assert.deepEqual(await work.allKeys(), keys.slice(1).sort());
    const status = json((await work.run(["status", "--json"])).stdout)[0] as unknown as ContainerStatus;
    assert.deepEqual([status.quarantine?.files, status.quarantine?.lostKeys], [2, 2]);
    assert.equal((await work.run(["repair"])).code, 0, "nothing more is lost");

    const from = await work.run(["repair", "--from", "other", "--json"]);
    assert.deepEqual([from.code, report(from).adopted, report(from).lost], [0, 2, 0]);
    assert.ok(!existsSync(lostKeysFile));
    const { stdout } = await work.run(["cat", keys[0] as string, loose]);
    assert.equal(stdout, "one texta loose object");
    assert.ok(await work.isValid());
  });
}

cliTest("repair of a table of contents loses nothing: exit code 0", async (work) => {
  await work.container(texts, "packed");
  work.damage("0.toc", 70);
  assert.equal((await work.run(["validate"])).code, 4);
  const { code, stdout } = await work.run(["repair"]);
  assert.equal(code, 0);
  assert.match(stdout, /^rewritten tables of contents +1, entries recovered: 1$/m);
  assert.match(stdout, /^index +made anew$/m);
  assert.ok(await work.isValid());
  assert.equal((await work.allKeys()).length, 3);
});

cliTest("repair tells what it could not do", async (work) => {
  await work.container(texts, "packed");
  const entry = { offset: 0, storedSize: 1, rawSize: 9, codec: 77, flags: 0, dictionaryId: 0, checksum: 1 };
  appendEntry(work.path("container"), 0, "12".repeat(32), entry);
  const unknown = await work.run(["repair", "--json"]);
  assert.equal(unknown.code, 4);
  assert.ok(
    report(unknown).unrepaired.some(({ code, key }) => code === "UNSUPPORTED_CODEC" && key === "12".repeat(32)),
  );
  const lock = new OsLock(work.path("container/packed/lock"), work.path("container/packed/lock.holder"));
  assert.ok(lock.tryAcquire("a test"));
  for (const [args, code, says] of [
    [["--wait", "0", "repair"], 5, "LOCKED"],
    [["repair", "--from", "nowhere"], 1, "NOT_A_CONTAINER"],
    [["repair", "extra"], 2, "USAGE"],
  ] as const) {
    const failed = await work.run([...args, "--json"]);
    assert.deepEqual([failed.code, errorOf(failed)?.code], [code, says], args.join(" "));
  }
  lock.close();
});
