import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Container } from "../../src/index.ts";
import { contentOf } from "./contents.ts";
import type { Model } from "./model.ts";

/** Nothing is lost, and the next operation just works. */
export async function goesOn(container: Container, model: Model, next: () => number): Promise<void> {
  await model.check(container);
  for (const to of ["packed", "loose"] as const) {
    const { key } = await container.insert(contentOf(next()), { to });
    model.put(model.present, key, 0);
  }
}

/** Nobody else works any more: packing and cleaning leave everything packed, and nothing behind. */
export async function endsClean(container: Container, model: Model): Promise<void> {
  await container.pack();
  await container.clean({ sandboxAgeMs: 0 });
  assert.equal((await container.status()).loose.objects, 0);
  const left = readdirSync(join(container.path, "sandbox")).filter((name) => !name.startsWith("tsdos."));
  assert.deepEqual(left, [], "clean leaves nothing in the sandbox");
  await model.check(container);
}
