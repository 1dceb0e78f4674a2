import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../../src/container/container.ts";
import { backupsIn } from "../../src/container/restore-backup.ts";
import { numbers, prose, smallContents } from "../../src/testing/contents.ts";
import { ActorProcess } from "../proofs/actor-process.ts";
import { readAll } from "../support/backup.ts";
import { builtMain } from "../support/built.ts";
import { temporaryFolder } from "../support/folders.ts";
import { seeded } from "../support/seeded.ts";

const VERBS = ["loose", "packed", "again", "pack", "clean", "delete"];

/** Whether there is a name in a folder that was not there when this was asked before. */
function hasNew(folder: string, seen: Set<string>): boolean {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("unfinished_")) : [];
  const isNew = names.some((name) => !seen.has(name));
  for (const name of names) seen.add(name);
  return isNew;
}

/** Whether backups that are not finished have files of the container. */
function hasCopied(folder: string): boolean {
  const unfinished = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("unfinished_")) : [];
  return unfinished
    .flatMap((name) => readdirSync(join(folder, name), { recursive: true }).map(String))
    .some((path) => /^(loose\/..\/.{62}|packed\/\d+\.pack|packs\/\d+)$/.test(path));
}

for (const formatVersion of [2, 1] as const) {
  seeded(
    `version ${formatVersion}: a backup has all that was acknowledged before it and not deleted, while others insert, pack, clean, delete and repack`,
    async (seed) => {
      const folder = temporaryFolder();
      const root = join(folder, "container");
      const destination = join(folder, "backups");
      await using container = await Container.create(root, { formatVersion, packSizeTarget: 200_000 });
      const present = new Set<string>();
      const touched = new Set<string>();
      const actors = [0, 1, 2].map(
        (number) =>
          new ActorProcess({
            ...{ root, number, seed: seed + number, verbs: VERBS, pauseMs: 20 },
            onLine({ sign, subject }) {
              if (sign === "+") present.add(subject);
              if (sign !== "?" && sign !== "-") return;
              present.delete(subject);
              touched.add(subject);
            },
          }),
      );
      await using _ = {
        [Symbol.asyncDispose]: async () => void (await Promise.all(actors.map((actor) => actor.kill()))),
      };
      await Promise.all(actors.map((actor) => actor.ready()));
      for (const actor of actors) await actor.begin();
      for (const actor of actors) await actor.until(() => present.size > 100);
      let compared = 0;
      for (let round = 0; round < 5; round++) {
        const before = [...present];
        touched.clear();
        const others = (async () => {
          await using another = await Container.open(root, { lockTimeoutMs: 20_000 });
          await another.repack().catch((error: { code?: string }) => assert.equal(error.code, "LOCKED"));
        })();
        const { name, problems } = await container.backup(destination, {
          verify: round % 2 === 0 ? "full" : "written",
        });
        await others;
        const end = process.hrtime.bigint();
        for (const actor of actors) await actor.hasSaidAll(end);
        assert.deepEqual(problems, []);
        await using copy = await Container.open(join(destination, name as string));
        assert.deepEqual((await copy.validate()).problems, []);
        const there = new Set(await readAll(copy));
        const needed = before.filter((key) => !touched.has(key));
        for (const key of needed) assert.ok(there.has(key), `${key} is not in the backup`);
        compared += needed.length;
      }
      assert.ok(compared > 50, `only ${compared} objects were compared`);
      for (const actor of actors) actor.endInput();
      for (const actor of actors) await actor.succeeds();
      assert.deepEqual(
        actors.map(({ failure }) => failure),
        [undefined, undefined, undefined],
      );
    },
  );

  seeded(
    `version ${formatVersion}: backups that are killed leave nothing that passes for one, and are continued`,
    async (seed) => {
      const next = numbers(seed);
      const folder = temporaryFolder();
      const root = join(folder, "container");
      const destination = join(folder, "backups");
      await using container = await Container.create(root, {
        formatVersion,
        packSizeTarget: 300_000,
        durability: "process",
      });
      await Array.fromAsync(container.insertMany(smallContents(600, 1), { to: "packed" }));
      await Array.fromAsync(container.insertMany([...smallContents(1500, 2), prose(5_000_000)]));
      let killed = 0;
      const seen = new Set<string>();
      // On a fast machine all of them may have ended before.
      for (let i = 0; i < 5 || (killed === 0 && i < 25); i++) {
        const child = spawn(process.execPath, [builtMain, "-q", "-p", root, "backup", destination, "--keep", "1"], {
          stdio: "ignore",
        });
        const ended = once(child, "exit");
        // It has begun when it has a folder of its own.
        while (child.exitCode === null && !hasNew(destination, seen)) await sleep(5);
        // The last one has copied something, however slow this machine is.
        if (i === 4) while (child.exitCode === null && !hasCopied(destination)) await sleep(5);
        else await sleep(next() % (i < 5 ? 300 : 30));
        child.kill("SIGKILL");
        const [code] = (await ended) as [number | null];
        if (code === null) killed++;
        for (const { path, complete } of existsSync(destination) ? await backupsIn(destination) : []) {
          assert.equal(existsSync(join(path, "config.json")) && /backup_/.test(path), complete, path);
          if (!complete) continue;
          await using copy = await Container.open(path);
          assert.deepEqual((await copy.validate()).problems, []);
        }
      }
      assert.ok(killed > 0);
      const { name, bytes, copiedBytes } = await container.backup(destination, { keep: 0 });
      assert.ok(copiedBytes < bytes, "what the killed ones had copied is used");
      await using copy = await Container.open(join(destination, name as string));
      assert.deepEqual(await readAll(copy), await readAll(container));
      assert.deepEqual(
        readdirSync(destination)
          .filter((one) => !one.startsWith("backup.lock"))
          .sort(),
        [name, "last-backup"],
      );
    },
  );
}
