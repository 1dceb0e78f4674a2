import { type ObjectKey, parseKey } from "../key/object-key.ts";
import type { Keys } from "./object-store.ts";
import { IDLE, SourcePuller } from "./source-puller.ts";

/** Keys that are looked up and read together. Large enough to find neighbours, small enough to hold. */
const WINDOW = 4096;

/** Takes keys in windows; a slow source gives smaller ones. */
export async function* windowsOf(keys: Keys, signal?: AbortSignal): AsyncGenerator<ObjectKey[]> {
  const puller = new SourcePuller(keys, signal);
  let window: ObjectKey[] = [];
  try {
    for (;;) {
      const pulled = puller.next(window.length > 0);
      const next = pulled instanceof Promise ? await pulled : pulled;
      if (next !== IDLE && !next.done) window.push(parseKey(next.value));
      if (window.length > 0 && (next === IDLE || next.done || window.length === WINDOW)) {
        yield window;
        window = [];
      }
      if (next !== IDLE && next.done) return;
    }
  } finally {
    await puller.stop();
  }
}

/** The keys' 32 bytes in a row. */
export function collectKeys(keys: readonly ObjectKey[]): Uint8Array {
  const bytes = Buffer.alloc(keys.length * 32);
  keys.forEach((key, i) => {
    bytes.write(key, i * 32, "hex");
  });
  return bytes;
}
