import { type ObjectKey, parseKey } from "../key/object-key.ts";
import { Pacer } from "./context.ts";
import type { Keys } from "./object-store.ts";
import { IDLE, SourcePuller } from "./source-puller.ts";

/** Keys that are taken together: what is done with them holds up others. */
const WINDOW = 4096;
/**
 * Keys of objects that are read together: large enough to find neighbours, small enough to hold (some 4 MB). With {@link WINDOW},
 * 10,000 of 100,000 objects take a tenth to a fifth longer.
 */
export const READ_WINDOW = 16_384;
/** Milliseconds that the first key of a window waits for the others, however steadily they come. */
const WAIT_MS = 100;

/** Takes keys in windows of up to `size`; a slow source gives smaller ones. Between windows, the rest of the process has its turn. */
export async function* windowsOf(keys: Keys, signal?: AbortSignal, size: number = WINDOW): AsyncGenerator<ObjectKey[]> {
  const puller = new SourcePuller(keys, signal);
  const pacer = new Pacer();
  let window: ObjectKey[] = [];
  let since = 0;
  try {
    for (;;) {
      const pulled = puller.next(window.length > 0);
      const isWaitedFor = pulled instanceof Promise;
      const next = isWaitedFor ? await pulled : pulled;
      if (next !== IDLE && !next.done) {
        if (window.length === 0) since = performance.now();
        window.push(parseKey(next.value));
      }
      const isDue = window.length === size || (isWaitedFor && performance.now() - since > WAIT_MS);
      if (window.length > 0 && (next === IDLE || next.done || isDue)) {
        yield window;
        window = [];
        // What is done with keys that are not there waits for nothing.
        if (pacer.due) await pacer.pause();
      }
      if (next !== IDLE && next.done) return;
    }
  } catch (error) {
    await puller.giveUp();
    throw error;
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
