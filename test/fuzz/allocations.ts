/** Notes what is allocated by way of Node's buffers while it is in place: the largest one, in bytes. */
export class Allocations {
  largest = 0;
  readonly #originals = {
    alloc: Buffer.alloc,
    allocUnsafe: Buffer.allocUnsafe,
    allocUnsafeSlow: Buffer.allocUnsafeSlow,
  };
  readonly #Uint8Array = globalThis.Uint8Array;

  constructor() {
    const note = (size: unknown): void => {
      if (typeof size === "number" && size > this.largest) this.largest = size;
    };
    for (const name of ["alloc", "allocUnsafe", "allocUnsafeSlow"] as const) {
      const original = this.#originals[name] as (size: number, ...rest: unknown[]) => Buffer<ArrayBuffer>;
      Buffer[name] = (size: number, ...rest: unknown[]) => {
        note(size);
        return original.call(Buffer, size, ...rest);
      };
    }
    const plain = this.#Uint8Array;
    const watched: typeof plain = new Proxy(plain, {
      construct(target, args: unknown[], made) {
        note(args[0]);
        return Reflect.construct(target, args, made === watched ? plain : made) as object;
      },
    });
    globalThis.Uint8Array = watched;
  }

  [Symbol.dispose](): void {
    Object.assign(Buffer, this.#originals);
    globalThis.Uint8Array = this.#Uint8Array;
  }
}
