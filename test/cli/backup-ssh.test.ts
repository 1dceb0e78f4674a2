import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { Container } from "../../src/index.ts";
import { fakeSsh, readAll } from "../support/backup.ts";
import { startSshd, whyNoSshd } from "../support/sshd.ts";
import { cliTest, errorOf, json, type Workspace } from "./support.ts";

async function through(workspace: Workspace, run: (destination: string, options: string[]) => Promise<void>) {
  await using sshd = await startSshd(workspace.path("sshd"));
  // The program on the other side; ssh is the real one.
  const { remoteCommand } = fakeSsh(workspace.folder);
  const options = ["--ssh", sshd.ssh, "--remote-command", remoteCommand, "--json"];
  await run(`${sshd.host}:${workspace.path("backups of it")}`, options);
}

const skip = whyNoSshd();

cliTest(
  "backup, backups and restore-backup through a real sshd",
  async (workspace) => {
    await workspace.container(Array.from({ length: 60 }, (_, i) => `content ${i}`));
    await workspace.run(["pack"]);
    await through(workspace, async (destination, options) => {
      const first = await workspace.run(["backup", destination, ...options]);
      assert.equal(first.code, 0, first.stderr);
      workspace.write("more", "more");
      await workspace.run(["add", "more"]);
      const second = await workspace.run(["backup", destination, ...options]);
      assert.equal(second.code, 0, second.stderr);
      const listed = await workspace.run(["backups", destination, ...options]);
      assert.deepEqual(
        json(listed.stdout).map(({ objects, complete }) => [objects, complete]),
        [
          [60, true],
          [61, true],
        ],
      );
      assert.ok(readdirSync(workspace.path("backups of it")).includes("last-backup"));
      const restored = await workspace.run(["restore-backup", destination, "restored", ...options]);
      assert.equal(restored.code, 0, restored.stderr);
      await using again = await Container.open(workspace.path("restored"));
      assert.equal((await readAll(again)).length, 61);
    });
  },
  skip,
);

cliTest(
  "an sshd that lets nobody in: the error says what ssh said",
  async (workspace) => {
    await workspace.container(["one"]);
    await through(workspace, async (destination, options) => {
      const stranger = options.map((option) => option.replace(/-i \S+/, "-i none"));
      const failed = await workspace.run(["backup", destination, ...stranger]);
      assert.deepEqual([failed.code, errorOf(failed)?.code], [1, "IO_ERROR"]);
      assert.match(failed.stderr, /Permission denied/);
    });
  },
  skip,
);
