import assert from "node:assert/strict";
import { OsLock } from "../../src/fs/os-lock.ts";
import type { ContainerStatus } from "../../src/index.ts";
import { cliTest } from "./support.ts";

cliTest("--verbose tells amounts, rates and peak memory at the end, on standard error", async (work) => {
  await work.container(["one", "two two", "three"]);
  const packed = await work.run(["pack", "--verbose"]);
  assert.match(
    packed.stderr,
    /^tsdos: 3 objects, 15 bytes in \d+\.\d s: [\d,]+ objects\/s, \d+\.\d MB\/s; peak memory [\d.]+ MiB\n$/,
  );
  const listed = await work.run(["-v", "ls"]);
  assert.match(listed.stderr, /^tsdos: \d+\.\d s; peak memory [\d.]+ MiB\n$/);
  const { stderr } = await work.run(["-v", "--json", "validate"]);
  const { work: report } = JSON.parse(stderr) as { work: Record<string, number> };
  assert.deepEqual([report["objects"], report["bytes"]], [3, 15]);
  for (const name of ["seconds", "objectsPerSecond", "bytesPerSecond", "peakMemoryBytes"]) {
    assert.ok((report[name] ?? 0) > 0, name);
  }
  assert.equal((await work.run(["validate"])).stderr, "");
});

cliTest("status tells what waits to be packed, and who packs", async (work) => {
  await work.container(["one", "two two"]);
  const lock = new OsLock(work.path("container/packed/lock"), work.path("container/packed/lock.holder"));
  assert.ok(lock.tryAcquire("a test"));
  const { stdout } = await work.run(["status"]);
  lock.close();
  for (const line of [
    /objects +2 objects, 10 bytes/,
    / {2}to be packed +2 objects, 10 bytes/,
    /packing now +process \d+ on .*"a test"/,
  ]) {
    assert.match(stdout, line);
  }
  await work.run(["pack", "--no-clean"]);
  const status = JSON.parse((await work.run(["status", "--json"])).stdout) as ContainerStatus;
  assert.deepEqual([status.objects, status.rawBytes, status.storedBytes], [2, 10, 10]);
  assert.deepEqual(status.loose.packedAlready, { objects: 2, bytes: 10 });
  assert.equal(status.lockHolder, undefined);
});
