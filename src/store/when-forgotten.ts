const forgotten = new FinalizationRegistry<AsyncGenerator<unknown>>((iteration) => {
  // Nobody is there to be told what comes of it.
  iteration.return(undefined).catch(() => undefined);
});

/**
 * Ends an iteration once `holder`, which alone leads to it, was forgotten by who has begun it: what the iteration holds, such as open files
 * or the packer lock, would otherwise be held as long as the process lives. A safety net: when garbage is collected, nobody knows.
 */
export function endWhenForgotten(holder: object, iteration: AsyncGenerator<unknown>): void {
  forgotten.register(holder, iteration);
}

/** An iteration that ends when it is forgotten. Not for pieces that are gone with their iteration: those may be all that is kept. */
export class ForgettableIterator<T> implements AsyncIterableIterator<T> {
  readonly #iteration: AsyncGenerator<T>;

  constructor(iteration: AsyncGenerator<T>) {
    this.#iteration = iteration;
    endWhenForgotten(this, iteration);
  }

  next(): Promise<IteratorResult<T>> {
    return this.#iteration.next();
  }

  return(): Promise<IteratorResult<T>> {
    return this.#iteration.return(undefined);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
