import assert from "node:assert/strict";
import { clean } from "../../src/maintenance/clean.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { smallContents } from "../../src/testing/contents.ts";
import type { MemoryFileSystem } from "../../src/testing.ts";
import { flushIndex, MEMORY_ROOT, type OpenedStores, rebuildIndex } from "../support/stores.ts";
import { type Acknowledged, insert, remove } from "../support/workload.ts";

/** The first look at what a crash has left: nothing is missing, nothing is half there, nothing has come back. */
export async function opensAgain(stores: OpenedStores, state: Acknowledged, lenient: boolean): Promise<void> {
  await state.check(stores, lenient);
  if (!lenient) await isValid(stores);
  stores.close();
}

async function isValid({ combined }: OpenedStores): Promise<void> {
  const { problems } = await validate(combined, {});
  assert.deepEqual(problems, []);
}

/** The store takes and gives everything again, with no step by hand, and what the crash has left is gone in the end. */
export async function goesOn(
  open: () => OpenedStores,
  files: MemoryFileSystem,
  state: Acknowledged,
  lenient: boolean,
): Promise<void> {
  const stores = open();
  const { combined } = stores;
  // What was not acknowledged is given again, loose and packed.
  const again = state.notPresent();
  await insert(stores, state, [...again.slice(0, 2), ...smallContents(1, 91)], { to: "loose", checkExisting: lenient });
  await insert(stores, state, [...again.slice(2), ...smallContents(1, 92)], { to: "packed", checkExisting: lenient });
  await packLoose(combined, {});
  const [first] = state.keys();
  if (first !== undefined) await remove(stores, state, [first]);
  await flushIndex(stores);
  await clean(combined, { sandboxAgeMs: 0 });
  await state.check(stores, lenient);
  stores.close();

  const reopened = open();
  await state.check(reopened, lenient);
  if (!lenient) await isValid(reopened);
  const before = await Array.fromAsync(reopened.combined.keys());
  await rebuildIndex(reopened);
  assert.deepEqual(await Array.fromAsync(reopened.combined.keys()), before, "I7: the index is not what the TOCs say");
  reopened.close();
  assert.deepEqual(files.list(`${MEMORY_ROOT}/sandbox`), [], "the sandbox is not clean");
  const names = [`${MEMORY_ROOT}/packed/index`, `${MEMORY_ROOT}/packed`].flatMap((folder) => files.list(folder) ?? []);
  const strange = names.filter((name) => name.endsWith(".tmp"));
  assert.deepEqual(strange, [], "temporary files were left");
}
