import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { Child } from "../support/child-processes.ts";
import { temporaryFolder } from "../support/folders.ts";
import { testProgram } from "../support/programs.ts";

const SCRIPT = testProgram("concurrency/child");

/** A process that plays a role of child.ts. */
function child(role: string, container: string, argument = ""): Child {
  return new Child([process.execPath, SCRIPT, role, container, argument]);
}

async function newContainer(): Promise<string> {
  const root = join(temporaryFolder(), "container");
  await (await Container.create(root)).close();
  return root;
}

for (const orders of [
  ["loose", "loose", "loose", "loose"],
  ["loose,packed", "packed,loose", "auto", "packed"],
]) {
  test(`the same content from four processes at once ends in one object (${orders.join(" ")})`, async () => {
    const root = await newContainer();
    const children = orders.map((order) => child("same", root, order));
    for (const each of children) await each.succeeds();
    await using container = await Container.open(root);
    const expected = [...smallContents(150, 5), noise(5 * 1024 ** 2, 6)].map(keyOf).sort();
    assert.deepEqual(await Array.fromAsync(container.keys()), expected);
    if (orders.every((order) => order === "loose"))
      assert.equal((await container.status()).loose.objects, expected.length);
    await container.pack();
    const { loose, packed } = await container.status();
    assert.deepEqual([loose.objects, packed.objects], [0, expected.length]);
    const { valid, objects, bytes, problems } = await container.validate();
    assert.deepEqual([valid, objects, bytes, problems], [true, expected.length, packed.rawBytes, []]);
    assert.deepEqual(readdirSync(join(root, "sandbox")), []);
  });
}

test("a second packer is told who holds the lock, or waits for it; readers and loose writers need none", async () => {
  const root = await newContainer();
  const holder = child("hold", root);
  await holder.said(2);
  await using impatient = await Container.open(root, { lockTimeoutMs: 50 });
  const calls: Record<string, () => Promise<unknown>> = {
    pack: () => impatient.pack(),
    clean: () => impatient.clean(),
    "insert packed": () => impatient.insert(prose(30), { to: "packed" }),
    "rebuild-index": () => impatient.rebuildIndex(),
    delete: () => impatient.delete([keyOf(prose(10))]),
  };
  for (const [name, call] of Object.entries(calls)) {
    await assert.rejects(call(), (error) => {
      assert.ok(isTsdosError(error, "LOCKED"), `${name}: ${String(error)}`);
      assert.deepEqual([error.details.holder?.pid, error.details.holder?.host], [holder.pid, hostname()]);
      assert.match(error.message, new RegExp(`process ${holder.pid}`));
      return true;
    });
  }
  assert.equal((await impatient.insert(prose(40))).where, "loose");
  const many = await Array.fromAsync(impatient.insertMany(smallContents(100, 7), { to: "auto" }));
  assert.ok(
    many.every(({ where }) => where === "loose"),
    "auto goes loose when somebody else packs",
  );
  assert.ok(await impatient.has(keyOf(prose(10))));
  assert.deepEqual(await impatient.delete([keyOf(prose(40))]), [keyOf(prose(40))]);

  await using patient = await Container.open(root);
  const waiting = patient.pack();
  const controller = new AbortController();
  const aborted = assert.rejects(patient.insert(prose(50), { to: "packed", signal: controller.signal }), {
    name: "AbortError",
  });
  await sleep(100);
  controller.abort();
  await aborted;
  holder.say("go");
  assert.equal((await waiting).packedObjects, 100);
  await holder.succeeds();
  assert.ok(await patient.has(keyOf(prose(20))));
});

test("two inserts into packs from one container wait for each other", async () => {
  const root = await newContainer();
  await using container = await Container.open(root);
  const calls = [1, 2, 3, 4].map((seed) =>
    Array.fromAsync(container.insertMany(smallContents(50, seed), { to: "packed" })),
  );
  calls.push(container.insert(prose(1000), { to: "packed" }).then((one) => [one]));
  await Promise.all([...calls, container.pack(), container.clean()]);
  assert.equal((await container.status()).packed.objects, 201);
  assert.equal((await container.validate()).valid, true);
});
