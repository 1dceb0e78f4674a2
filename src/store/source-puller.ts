/** What {@link SourcePuller.next} answers when nothing came for a while: a moment to acknowledge what is there. */
export const IDLE: unique symbol = Symbol("idle");

/** Milliseconds without a new source after which waiting results are acknowledged. */
const IDLE_MS = 20;

/**
 * Waits for a promise, unless the signal aborts first: that rejects with the signal's reason, and what the promise brings is dropped.
 */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Takes items one by one, without a promise where the iterable is synchronous. An abort ends the wait for an item. */
export class SourcePuller<T> {
  readonly #sync: Iterator<T> | undefined;
  readonly #async: AsyncIterator<T> | undefined;
  readonly #signal: AbortSignal | undefined;
  #pending: Promise<IteratorResult<T>> | undefined;
  /** The iterable has ended, failed, or been told to end: it is told nothing more. */
  #isEnded = false;

  constructor(items: Iterable<T> | AsyncIterable<T>, signal?: AbortSignal) {
    this.#signal = signal;
    // A string is an iterable, too, of its characters: nobody means that.
    if (typeof items !== "object" || items === null)
      throw new TypeError("expected an iterable or an async iterable, such as an array; for one key or source: [it]");
    if (Symbol.asyncIterator in items) this.#async = items[Symbol.asyncIterator]();
    else if (Symbol.iterator in items) this.#sync = items[Symbol.iterator]();
    else throw new TypeError("expected an iterable or an async iterable");
  }

  get isSync(): boolean {
    return this.#sync !== undefined;
  }

  /** What is left of a synchronous iterable. */
  *rest(): Generator<T> {
    for (let next = this.#nextSync(); !next.done; next = this.#nextSync()) yield next.value;
  }

  /** `mayIdle`: answer {@link IDLE} instead of waiting long. */
  next(mayIdle: boolean): IteratorResult<T> | Promise<IteratorResult<T> | typeof IDLE> {
    return this.#sync === undefined ? this.#nextAsync(mayIdle) : this.#nextSync();
  }

  #nextSync(): IteratorResult<T> {
    // Also if it throws.
    this.#isEnded = true;
    const next = (this.#sync as Iterator<T>).next();
    this.#isEnded = next.done ?? false;
    return next;
  }

  async #nextAsync(mayIdle: boolean): Promise<IteratorResult<T> | typeof IDLE> {
    try {
      return await this.#awaitNext(mayIdle);
    } catch (error) {
      if (!this.#signal?.aborted) this.#isEnded = true;
      throw error;
    }
  }

  async #awaitNext(mayIdle: boolean): Promise<IteratorResult<T> | typeof IDLE> {
    // An iterator that is written by hand may answer without a promise, as `for await` allows.
    this.#pending ??= Promise.resolve((this.#async as AsyncIterator<T>).next());
    if (!mayIdle) return this.#take(await orAbort(this.#pending, this.#signal));
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<typeof IDLE>((resolve) => {
      timer = setTimeout(resolve, IDLE_MS, IDLE);
    });
    const race = Promise.race([this.#pending, idle]);
    const first = await orAbort(race, this.#signal).finally(() => clearTimeout(timer));
    return first === IDLE ? IDLE : this.#take(first);
  }

  #take(result: IteratorResult<T>): IteratorResult<T> {
    this.#pending = undefined;
    this.#isEnded = result.done ?? false;
    return result;
  }

  /** Tells the iterable that no more is wanted. */
  async stop(): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#sync?.return?.();
    if (this.#pending === undefined) {
      await this.#async?.return?.();
      return;
    }
    // An iterable that is still busy with a value ends when it has it: nobody waits for that.
    this.#pending.catch(() => undefined);
    Promise.resolve(this.#async?.return?.()).catch(() => undefined);
  }

  /** As {@link stop}, after a failure, which counts more than what the iterable says to it. */
  async giveUp(): Promise<void> {
    await this.stop().catch(() => undefined);
  }
}
