import { createRequire } from "node:module";
import { isMainThread } from "node:worker_threads";
import type Koffi from "koffi";

/** Processors that the numbers and structures in src/fs were looked up for. */
const PROCESSORS: readonly string[] = ["x64", "arm64"];

type Signature = (...values: never[]) => unknown;

/** A function in C; `T` is what it is in TypeScript. */
export type NativeFunction<T extends Signature> = T & { async(...values: unknown[]): void };

/** One that takes and answers numbers only, addresses among them. */
export type NumberFunction = NativeFunction<(...numbers: number[]) => number>;

/** The functions in C that this process has loaded already: those of the C library, and of what the runtime contains. */
export interface Native {
  /** @throws Error when there is no such function. */
  func<T extends Signature>(declaration: string): NativeFunction<T>;
  /** What the last call that failed says; of synchronous calls only. */
  errno(): number;
  /** Where bytes begin that do not move as long as somebody holds them: those of `pageMemory`, and of other large memory. */
  addressOf(bytes: Uint8Array): number;
  /** Memory that is not V8's. Whoever touches it after it is gone ends the process. */
  view(address: number, length: number): ArrayBuffer;
  /**
   * Has a function called in a thread of the runtime. Only plain numbers may be given: pointers to typed arrays would be followed
   * when those have moved. `held` is what the numbers point at, which is kept until then.
   */
  beside(call: NumberFunction, held: readonly Uint8Array[], ...numbers: readonly number[]): Promise<number>;
}

let known: { readonly native: Native | undefined } | undefined;

/**
 * Undefined where they cannot be had: on other systems than Linux, without the optional package `koffi`, with `TSDOS_NATIVE=off`, or
 * in a thread other than the main one: while it loads functions, a thread that is terminated would end the whole process. Loading it
 * takes 2 ms, and where its binary stands elsewhere 8: for large objects only, or for many.
 */
function native(): Native | undefined {
  known ??= { native: load() };
  return known.native;
}

/** What `make` makes of {@link native} when it is first asked for; undefined where that is, or has not all functions that it takes. */
export function madeOfNative<T>(make: (calls: Native) => T | undefined): () => T | undefined {
  let made: { readonly value: T | undefined } | undefined;
  const tryToMake = (): T | undefined => {
    const calls = native();
    try {
      return calls && make(calls);
    } catch {
      return undefined;
    }
  };
  return () => {
    made ??= { value: tryToMake() };
    return made.value;
  };
}

function load(): Native | undefined {
  // biome-ignore lint/style/noProcessEnv: to be turned off from outside when something is wrong with it
  const isOff = process.env.TSDOS_NATIVE === "off";
  if (isOff || !isMainThread || process.platform !== "linux" || !PROCESSORS.includes(process.arch)) return undefined;
  try {
    const koffi = loadKoffi(createRequire(import.meta.url));
    const library = koffi.load(null);
    /** Nobody else may have it any more, and it would be freed while it is used. */
    const underWay = new Set<readonly Uint8Array[]>();
    return {
      func: <T extends Signature>(declaration: string) => library.func(declaration) as unknown as NativeFunction<T>,
      errno: () => koffi.errno(),
      view: (address, length) => koffi.view(address, length),
      addressOf: (bytes) => Number(koffi.address(bytes)),
      beside: (call, held, ...numbers) =>
        new Promise((resolve, reject) => {
          underWay.add(held);
          call.async(...numbers, (error: Error | null, result: number) => {
            underWay.delete(held);
            if (error) reject(error);
            else resolve(result);
          });
        }),
    };
  } catch {
    // It is not installed, or may not be loaded. All works without it.
    return undefined;
  }
}

/** Its binary alone, which takes 1 ms, and else the package, which looks for it, and takes 7. */
function loadKoffi(require: NodeJS.Require): typeof Koffi {
  const system = `${process.platform}-${process.arch}`;
  try {
    const binary = require(`@koromix/koffi-${system}/${system.replace("-", "_")}/koffi.node`) as typeof Koffi;
    if (typeof binary.load === "function") return binary;
  } catch {
    // It is for another C library, or stands elsewhere.
  }
  return require("koffi") as typeof Koffi;
}
