import type { Sources, Where } from "./object-store.ts";
import { isBytes, type Source } from "./source.ts";
import { IDLE, SourcePuller } from "./source-puller.ts";

/** A call with more sources than this goes to packs: one commit instead of a file and a rename for each. */
const LOOSE_MAX_SOURCES = 64;
/** So does a call whose sources in memory hold more bytes than this. */
const LOOSE_MAX_BYTES: number = 8 * 1024 ** 2;

export interface Choice {
  readonly to: Where;
  readonly all: Sources;
  /** Tells the iterable that no more is wanted. */
  stop(): Promise<void>;
  /** The same after a failure. */
  giveUp(): Promise<void>;
}

/**
 * The rule of `to: "auto"`: many sources go to packs, few go loose, where they need no lock. Looks at the first sources without
 * reading them, and gives all of them back. A source that pauses decides with what has come: it is interactive.
 */
export async function chooseDestination(sources: Sources, signal?: AbortSignal): Promise<Choice> {
  const puller = new SourcePuller<Source>(sources, signal);
  try {
    return await choose(puller, Array.isArray(sources));
  } catch (error) {
    await puller.giveUp();
    throw error;
  }
}

/** `stable`: what was pulled stays as it is when more is pulled. */
async function choose(puller: SourcePuller<Source>, stable: boolean): Promise<Choice> {
  const end = { stop: () => puller.stop(), giveUp: () => puller.giveUp() };
  const first: Source[] = [];
  let bytes = 0;
  while (first.length <= LOOSE_MAX_SOURCES && bytes <= LOOSE_MAX_BYTES) {
    // Whoever makes the sources may reuse a buffer once the next one is asked for.
    const last = first.at(-1);
    if (!stable && isBytes(last)) first[first.length - 1] = new Uint8Array(last);
    const pulled = puller.next(first.length > 0);
    const next = pulled instanceof Promise ? await pulled : pulled;
    if (next === IDLE) return { to: "loose", all: resumed(first, puller), ...end };
    if (next.done) return { to: "loose", all: first, ...end };
    first.push(next.value);
    if (isBytes(next.value)) bytes += next.value.length;
  }
  const all = puller.isSync ? resumedSync(first, puller) : resumed(first, puller);
  return { to: first.length > 1 ? "packed" : "loose", all, ...end };
}

function* resumedSync(first: readonly Source[], puller: SourcePuller<Source>): Generator<Source> {
  yield* first;
  yield* puller.rest();
}

async function* resumed(first: readonly Source[], puller: SourcePuller<Source>): AsyncGenerator<Source> {
  yield* first;
  for (;;) {
    const next = await puller.next(false);
    if (next === IDLE || next.done) return;
    yield next.value;
  }
}
