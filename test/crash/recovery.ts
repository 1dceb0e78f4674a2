import assert from "node:assert/strict";
import { clean } from "../../src/maintenance/clean.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { smallContents } from "../../src/testing/contents.ts";
import type { MemoryFileSystem } from "../../src/testing.ts";
import { flushIndex, MEMORY_ROOT, type OpenedStores, rebuildIndex } from "../support/stores.ts";
import { type Acknowledged, insert, remove } from "../support/workload.ts";

/** What is done, and looked at, after a crash. */
export interface Recovery {
  /** The first look at what a crash has left: nothing is missing, nothing is half there, nothing has come back. */
  opensAgain(stores: OpenedStores, state: Acknowledged): Promise<void>;
  /** The store takes and gives everything again, and what the crash has left is gone in the end. */
  goesOn(open: () => OpenedStores, files: MemoryFileSystem, state: Acknowledged): Promise<void>;
}

/** There was nothing wrong before the crash, and no step by hand is needed after it. */
export class JustWorks implements Recovery {
  readonly #lenient: boolean;

  /** `lenient`: objects may be damaged that were written for the life of the process. */
  constructor(lenient = false) {
    this.#lenient = lenient;
  }

  async opensAgain(stores: OpenedStores, state: Acknowledged): Promise<void> {
    await state.check(stores, this.#lenient);
    if (!this.#lenient) await isValid(stores, { resume: true });
    stores.close();
  }

  async goesOn(open: () => OpenedStores, files: MemoryFileSystem, state: Acknowledged): Promise<void> {
    const lenient = this.#lenient;
    const stores = open();
    const { combined } = stores;
    // What was not acknowledged is given again, loose and packed.
    const again = state.notPresent();
    const [loose, packed] = [again.slice(0, 2), again.slice(2)];
    await insert(stores, state, [...loose, ...smallContents(1, 91)], { to: "loose", checkExisting: lenient });
    await insert(stores, state, [...packed, ...smallContents(1, 92)], { to: "packed", checkExisting: lenient });
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
    const after = await Array.fromAsync(reopened.combined.keys());
    assert.deepEqual(after, before, "I7: the index is not what the TOCs say");
    reopened.close();
    assert.deepEqual(files.list(`${MEMORY_ROOT}/sandbox`), [], "the sandbox is not clean");
    const folders = [`${MEMORY_ROOT}/packed/index`, `${MEMORY_ROOT}/packed`];
    const strange = folders.flatMap((folder) => files.list(folder) ?? []).filter((name) => name.endsWith(".tmp"));
    assert.deepEqual(strange, [], "temporary files were left");
  }
}

async function isValid({ combined }: OpenedStores, options: { readonly resume?: boolean } = {}): Promise<void> {
  const { problems } = await validate(combined, options);
  assert.deepEqual(problems, []);
}
