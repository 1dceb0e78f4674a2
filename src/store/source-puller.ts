/** What {@link SourcePuller.next} answers when nothing came for a while: a moment to acknowledge what is there. */
export const IDLE: unique symbol = Symbol("idle");

/** Milliseconds without a new source after which waiting results are acknowledged. */
const IDLE_MS = 20;

/** Takes items one by one, without a promise where the iterable is synchronous. */
export class SourcePuller<T> {
  readonly #sync: Iterator<T> | undefined;
  readonly #async: AsyncIterator<T> | undefined;
  #pending: Promise<IteratorResult<T>> | undefined;

  constructor(items: Iterable<T> | AsyncIterable<T>) {
    if (Symbol.asyncIterator in items) this.#async = items[Symbol.asyncIterator]();
    else if (Symbol.iterator in items && typeof items !== "string") this.#sync = items[Symbol.iterator]();
    else throw new TypeError("expected an iterable or an async iterable");
  }

  get isSync(): boolean {
    return this.#sync !== undefined;
  }

  /** What is left of a synchronous iterable. */
  *rest(): Generator<T> {
    const iterator = this.#sync as Iterator<T>;
    try {
      for (let next = iterator.next(); !next.done; next = iterator.next()) yield next.value;
    } finally {
      iterator.return?.();
    }
  }

  /** `mayIdle`: answer {@link IDLE} instead of waiting long. */
  next(mayIdle: boolean): IteratorResult<T> | Promise<IteratorResult<T> | typeof IDLE> {
    if (this.#sync !== undefined) return this.#sync.next();
    return this.#nextAsync(mayIdle);
  }

  async #nextAsync(mayIdle: boolean): Promise<IteratorResult<T> | typeof IDLE> {
    this.#pending ??= (this.#async as AsyncIterator<T>).next();
    if (!mayIdle) return this.#take(await this.#pending);
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<typeof IDLE>((resolve) => {
      timer = setTimeout(resolve, IDLE_MS, IDLE);
    });
    const first = await Promise.race([this.#pending, idle]).finally(() => clearTimeout(timer));
    return first === IDLE ? IDLE : this.#take(first);
  }

  #take(result: IteratorResult<T>): IteratorResult<T> {
    this.#pending = undefined;
    return result;
  }

  /** Tells the iterable that no more is wanted. */
  async stop(): Promise<void> {
    this.#sync?.return?.();
    // An iterable that is still busy with a value would make this wait for it: let it end by itself.
    if (this.#pending === undefined) await this.#async?.return?.();
    else this.#pending.catch(() => undefined);
  }
}
