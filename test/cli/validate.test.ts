import assert from "node:assert/strict";
import { existsSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import type { ValidateReport } from "../../src/index.ts";
import { cliTest, errorOf, type Finished, hasOpen, json } from "./support.ts";

const report = ({ stdout }: Finished): ValidateReport => json(stdout)[0] as unknown as ValidateReport;
const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `text number ${i}`);

cliTest("validate --quick finds damage of packed objects; that of loose ones only a full one does", async (work) => {
  const [first = ""] = await work.container(texts(20), "packed");
  work.write("file", "a loose object");
  const loose = (await work.run(["add", "file", "--to", "loose"])).stdout.slice(0, 64);
  const healthy = await work.run(["validate", "--quick", "--json"]);
  assert.deepEqual([healthy.code, healthy.stderr], [0, ""]);
  const { mode, valid, objects, totalObjects, problems } = report(healthy);
  assert.deepEqual([mode, valid, objects, totalObjects, problems], ["quick", true, 20, 21, []]);
  work.damage(loose.slice(2), 3);
  assert.equal((await work.run(["validate", "--quick"])).code, 0);
  work.damage("0.pack", 0);
  for (const [flags, damaged] of [
    [["--quick"], [["packed", first]]],
    [
      [],
      [
        ["loose", loose],
        ["packed", first],
      ],
    ],
  ] as const) {
    const found = await work.run(["validate", ...flags, "--json"]);
    assert.deepEqual([found.code, found.stderr, report(found).valid], [4, "", false]);
    assert.deepEqual(
      report(found).problems.map(({ kind, key }) => [kind, key]),
      damaged,
    );
    for (const { code, path } of report(found).problems) assert.ok(code === "CORRUPT_OBJECT" && existsSync(path ?? ""));
  }
  const forPeople = await work.run(["validate", "--quick"]);
  assert.equal(forPeople.code, 4);
  assert.match(forPeople.stdout, new RegExp(`^CORRUPT_OBJECT +object ${first} is damaged in .*0\\.pack`, "m"));
  assert.match(forPeople.stdout, /^valid +no, problems: 1$/m);
});

// It said "objects 20 of 20" and "valid yes" of a container of version 1, of which it had read none.
cliTest("validate --quick of version 1 tells that it has read nothing", async (work) => {
  await work.container(texts(20), "packed", { formatVersion: 1 });
  const quick = await work.run(["validate", "--quick"]);
  assert.equal(quick.code, 0);
  assert.match(quick.stdout, /^objects +0 of 20$/m);
  assert.match(quick.stderr, /^tsdos: format version 1 has no checksums/);
  assert.match((await work.run(["validate"])).stdout, /^objects +20 of 20$/m);
});

cliTest("validate --sample reads a part, the same one for the same --seed", async (work) => {
  const keys = await work.container(texts(100));
  const first = await work.run(["validate", "--sample", "20%", "--json"]);
  const { sample, objects, bytes, mode, totalObjects } = report(first);
  assert.deepEqual([first.code, mode, totalObjects, sample?.part], [0, "sample", 100, 0.2]);
  assert.ok(objects > 0 && objects < 60, `${objects} of 100`);
  const again = await work.run(["validate", "--sample", "0.2", "--seed", `${sample?.seed}`]);
  assert.equal(again.code, 0);
  assert.match(again.stdout, new RegExp(`^sample +20%, seed ${sample?.seed}$`, "m"));
  assert.match(again.stdout, new RegExp(`^objects +${objects} of 100$`, "m"));
  assert.match(again.stdout, new RegExp(`^bytes +.*${bytes.toLocaleString("en-US")} `, "m"));
  for (const key of keys) work.damage(key.slice(2), 0);
  const damaged = await work.run(["validate", "--sample", "20%", "--seed", `${sample?.seed}`, "--json"]);
  assert.deepEqual([damaged.code, report(damaged).problems.length], [4, objects], "only the chosen ones are read");
  for (const flags of [
    ["--quick", "--sample", "5%"],
    ["--sample", "0"],
    ["--sample", "5%", "--seed", "-1"],
  ]) {
    const wrong = await work.run(["validate", ...flags, "--json"]);
    assert.deepEqual([wrong.code, errorOf(wrong)?.code], [2, "USAGE"], flags.join(" "));
  }
});

for (const [formatVersion, place, flags, other] of [
  [2, "container/validate.json", [], ["--quick"]],
  [1, "container/sandbox/tsdos.validate.json", [], ["--sample", "50%"]],
  [2, "place", ["--checkpoint", "place"], ["--quick"]],
] as const) {
  cliTest(`validate after SIGINT goes on with --resume: version ${formatVersion}, ${place}`, async (work) => {
    const keys = await work.container(texts(400), "loose", { formatVersion });
    // Takes long to read, and no room. It comes last: the objects in front of it are done then.
    const endless = work.path("container/loose/ff", "0".repeat(62));
    mkdirSync(work.path("container/loose/ff"), { recursive: true });
    writeFileSync(endless, "");
    truncateSync(endless, 8 * 1024 ** 3);
    const running = work.start(["validate", "--threads", "1", ...flags]);
    await hasOpen(running, endless);
    running.child.kill("SIGINT");
    const { code, stdout, stderr } = await running.finished;
    assert.deepEqual([code, stdout], [130, ""]);
    assert.match(stderr, /^tsdos: interrupted/);
    assert.ok(existsSync(work.path(place)));
    rmSync(endless);
    const done = keys.filter((key) => !key.startsWith("ff"));
    const refused = await work.run(["validate", "--resume", ...other, ...flags, "--json"]);
    assert.deepEqual([refused.code, errorOf(refused)?.code], [1, "ALREADY_EXISTS"]);
    assert.match(errorOf(refused)?.message ?? "", /is the checkpoint of a full validation; .*without resume/);
    // Read again, it would be found.
    work.damage(done[0]?.slice(2) ?? "", 0);
    const resumed = await work.run(["validate", "--resume", ...flags, "--json"]);
    const { valid, objects, resumed: before } = report(resumed);
    assert.deepEqual([resumed.code, valid, objects, before?.objects], [0, true, 400, done.length]);
    assert.ok(!existsSync(work.path(place)), "it is done");
    const whole = await work.run(["validate", "--resume", ...flags, "--json"]);
    assert.deepEqual([whole.code, report(whole).resumed, report(whole).problems.length], [4, undefined, 1]);
  });
}

cliTest("of very many problems, the last line says how many are not listed", async (work) => {
  await work.container(texts(10_020), "packed", { compression: "none" });
  work.write("container/packed/0.pack", Buffer.alloc(statSync(work.path("container/packed/0.pack")).size));
  // Not a word of the rest, should it fail.
  const end = (text: string): string => text.slice(-300);
  const validated = await work.run(["validate", "--quick"]);
  assert.match(end(validated.stdout), /and 20 more problems\n/);
  assert.match(end(validated.stdout), /^valid +no, problems: 10,020$/m);
  await work.run(["-p", "other", "init"]);
  const imported = await work.run(["-p", "other", "import", "container"]);
  assert.equal(imported.code, 4);
  assert.match(end(imported.stdout), /^damaged +10,020$/m);
  assert.match(end(imported.stderr), /and 20 more problems\n$/);
  const exported = await work.run(["export", "--archive", "file", "--json"]);
  const { problems, problemCount } = json(exported.stdout)[0] as unknown as ValidateReport;
  assert.deepEqual([problems.length, problemCount], [10_000, 10_020]);
});
