interface Begun<Of, Ready> {
  readonly of: Of;
  readonly ready: Promise<Ready>;
  isDone: boolean;
}

/** Work that goes on beside other work; what comes of it is used in the order in which it was begun. */
export class InOrder<Of, Ready> {
  /** The first one until all that comes of it has been used. */
  readonly #begun: Begun<Of, Ready>[] = [];

  get size(): number {
    return this.#begun.length;
  }

  /** True when {@link useFirst} would not have to wait for the work. */
  get isFirstDone(): boolean {
    return this.#begun[0]?.isDone ?? false;
  }

  /** What the work is of that has not been used, or not wholly. */
  get all(): Of[] {
    return this.#begun.map(({ of }) => of);
  }

  begin(of: Of, ready: Promise<Ready>): void {
    const begun: Begun<Of, Ready> = { of, ready, isDone: false };
    this.#begun.push(begun);
    const done = (): void => {
      begun.isDone = true;
    };
    // Whoever stops before its turn does not hear of a failure.
    ready.then(done, done);
  }

  /** Waits for the first, of which there must be one, and uses it. */
  async useFirst(use: (of: Of, ready: Ready) => Promise<void> | undefined): Promise<void> {
    const { of, ready } = this.#begun[0] as Begun<Of, Ready>;
    const using = use(of, await ready);
    if (using !== undefined) await using;
    this.#begun.shift();
  }

  /** Forgets all of it; what still comes of it is not used. */
  clear(): void {
    this.#begun.length = 0;
  }
}
