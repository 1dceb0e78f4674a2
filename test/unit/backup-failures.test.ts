import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { isTsdosError, TsdosError } from "../../src/errors.ts";
import { Connection } from "../../src/maintenance/backup/connection.ts";
import { Receiver } from "../../src/maintenance/backup/receiver.ts";
import { RestorePlace } from "../../src/maintenance/backup/restore-place.ts";
import { type Fault, type FileCall, InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import { emptyMemoryFolder } from "../support/stores.ts";

describe("a backup that cannot be written to its end", () => {
  const receiving = async (before: (call: FileCall) => Fault | undefined) => {
    const fs = new InterceptedFileSystem(emptyMemoryFolder(), before);
    const target = new Receiver(fs, new RestorePlace(fs, "/restored"));
    await target.begin({ containerId: "", formatVersion: 2 }, { verify: "written", dryRun: false });
    return { fs, target };
  };
  const fault = { error: new TsdosError("IO_ERROR", "the disk fails") };
  const key = (i: number): string => `loose/${i}a/${"b".repeat(62)}`;

  test("reads nothing more of a file that it could not begin", async () => {
    const { target } = await receiving(({ name, path, mode }) =>
      name === "open" && mode === "create" && path.endsWith(".tmp") ? fault : undefined,
    );
    let ended = false;
    const chunks = function* (): Generator<Uint8Array> {
      try {
        for (;;) yield Buffer.from("content");
      } finally {
        ended = true;
      }
    };
    await assert.rejects(target.put({ path: key(1) }, chunks()), /the disk fails/);
    assert.equal(ended, true);
  });

  test("leaves no file open when one of them cannot get its name", async () => {
    const { fs, target } = await receiving(({ name, to }) =>
      name === "rename" && to?.endsWith(key(2)) ? fault : undefined,
    );
    for (const i of [1, 2, 3, 4]) await target.put({ path: key(i) }, [Buffer.from("content")]);
    await assert.rejects(target.finish({}), /the disk fails/);
    await target.close();
    assert.deepEqual(fs.openFiles, []);
  });
});

test("what is sent after the other end has gone fails, and does not wait for it", { timeout: 5000 }, async () => {
  const output = new PassThrough();
  const connection = new Connection((async function* () {})(), output);
  output.destroy();
  await once(output, "close");
  await assert.rejects(connection.send("data", Buffer.from("content")), (error) => isTsdosError(error, "IO_ERROR"));
});
