import { isTsdosError } from "../errors.ts";
import { Pacer } from "./context.ts";
import type { Inserter, InsertManyOptions, InsertResult, Sources, Stored } from "./object-store.ts";
import { IDLE, SourcePuller } from "./source-puller.ts";

/**
 * Milliseconds that an object waits at most, while others come, until it is acknowledged. A batch that is in memory is full much
 * sooner; sources that come steadily, but slowly, would otherwise wait minutes for theirs. Each batch costs a sync or two.
 */
const BATCH_MS = 1000;

/** Feeds sources to an inserter and yields the results, batch by batch, as they become durable. */
export async function* insertLoop(
  inserter: Inserter,
  sources: Sources,
  options: InsertManyOptions,
): AsyncGenerator<InsertResult[]> {
  const { signal, onProgress, onSourceError } = options;
  const puller = new SourcePuller(sources, signal);
  const pacer = new Pacer();
  let objects = 0;
  let bytes = 0;
  let index = 0;
  let added: number[] = [];
  let since = 0;
  let isLate = false;
  /** Of a source that is not read yet. */
  let underWay: Promise<void> | undefined;
  /** What became durable while a source had its reader wait, and who is told. */
  let early: InsertResult[] = [];
  let onEarly: (() => void) | undefined;
  const settle = async (): Promise<InsertResult[]> => {
    const stored = await inserter.settle();
    const results = stored as (Stored & { index: number })[];
    for (let i = 0; i < results.length; i++) (results[i] as { index: number }).index = added[i] as number;
    added = [];
    isLate = false;
    objects += results.length;
    for (const { rawSize } of results) bytes += rawSize;
    onProgress?.({ phase: "insert", objects, bytes });
    return results;
  };
  if (inserter.reader !== undefined) {
    inserter.reader.meanwhile = {
      get isWanted() {
        return added.length > 0;
      },
      get due() {
        return performance.now() - since > BATCH_MS;
      },
      async work() {
        early = await settle();
        onEarly?.();
      },
    };
  }
  try {
    for (;;) {
      signal?.throwIfAborted();
      const pulled = puller.next(inserter.waiting > 0);
      const next = pulled instanceof Promise ? await pulled : pulled;
      if (next === IDLE || next.done || inserter.full || isLate) {
        const results = await settle();
        if (results.length > 0) yield results;
      }
      if (next === IDLE) continue;
      if (next.done) return;
      if (added.length === 0) since = performance.now();
      try {
        underWay = inserter.add(next.value);
        if (underWay !== undefined) {
          const isEarly = new Promise<void>((resolve) => {
            onEarly = resolve;
          });
          await Promise.race([underWay, isEarly]);
          if (early.length > 0) yield early;
          early = [];
          await underWay;
        }
        added.push(index);
      } catch (error) {
        underWay = undefined;
        if (!isTsdosError(error, "SOURCE_FAILED")) throw error;
        if (onSourceError === undefined) {
          const results = await settle();
          if (results.length > 0) yield results;
          throw error;
        }
        onSourceError(error, index);
      }
      index++;
      if (pacer.due) {
        await pacer.pause();
        isLate = added.length > 0 && performance.now() - since > BATCH_MS;
      }
    }
  } catch (error) {
    await puller.giveUp();
    throw error;
  } finally {
    // Who has what came early may not want the rest.
    inserter.reader?.stop();
    await underWay?.catch(() => undefined);
    await puller.stop();
  }
}

/** The one result of a call with one source. */
export async function onlyResult(batches: AsyncIterable<readonly InsertResult[]>): Promise<InsertResult> {
  let only: InsertResult | undefined;
  for await (const [result] of batches) only = result;
  if (only === undefined) throw new TypeError("one source gives one result");
  return only;
}
