import type { Worker } from "node:worker_threads";
import { TsdosError } from "../errors.ts";
import { startThread, threadProgram } from "../thread-pool.ts";
import type { AsyncKeyHasher } from "./hash.ts";
import { CLOSED, createRing, FREE, type HashRing, LAST, SLOT_SIZE, SLOTS } from "./hash-ring.ts";
import type { ObjectKey } from "./object-key.ts";

/** Milliseconds that `update` waits for a free slot; a thread that takes longer for a quarter of a MiB is dead. */
const SLOT_TIMEOUT_MS = 60_000;

/** Starts a thread that hashes; undefined when that is not possible here (no threads, or the file is bundled away). */
export function startHashThread(): Promise<AsyncKeyHasher | undefined> {
  return new Promise((resolve) => {
    const ring = createRing();
    let worker: Worker;
    try {
      worker = startThread(threadProgram("hash-worker", import.meta.url), { workerData: ring });
    } catch {
      resolve(undefined);
      return;
    }
    worker.once("error", () => resolve(undefined));
    worker.once("exit", () => resolve(undefined));
    worker.once("message", () => resolve(new HashThread(ring, worker)));
  });
}

/** Hands chunks to the thread through a ring of shared memory. */
class HashThread implements AsyncKeyHasher {
  readonly #worker: Worker;
  readonly #bytes: Uint8Array;
  readonly #states: Int32Array;
  readonly #result: Promise<ObjectKey>;
  #slot = 0;

  constructor(ring: HashRing, worker: Worker) {
    this.#worker = worker;
    this.#bytes = new Uint8Array(ring.bytes);
    this.#states = new Int32Array(ring.states);
    this.#result = new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", (error) => reject(ended(error)));
      worker.once("exit", () => {
        this.#closeSlots();
        reject(ended());
      });
    });
    this.#result.catch(() => undefined);
  }

  update(chunk: Uint8Array): undefined {
    for (let at = 0; at < chunk.length; at += SLOT_SIZE) {
      const part = chunk.subarray(at, at + SLOT_SIZE);
      const slot = this.#nextSlot();
      this.#bytes.set(part, slot * SLOT_SIZE);
      this.#publish(slot, part.length);
    }
  }

  async key(): Promise<ObjectKey> {
    this.#publish(this.#nextSlot(), LAST);
    return this.#result;
  }

  close(): void {
    this.#closeSlots();
    void this.#worker.terminate();
  }

  #closeSlots(): void {
    for (let slot = 0; slot < SLOTS; slot++) this.#publish(slot, CLOSED);
  }

  /** Waits until the thread has read the slot's last content. */
  #nextSlot(): number {
    const slot = this.#slot++ % SLOTS;
    for (let state = Atomics.load(this.#states, slot); state !== FREE; state = Atomics.load(this.#states, slot)) {
      // A source that was being read when its hasher was closed may still give a piece.
      if (state === CLOSED) throw ended();
      if (Atomics.wait(this.#states, slot, state, SLOT_TIMEOUT_MS) === "timed-out") {
        throw new TsdosError("IO_ERROR", "the hashing thread does not answer; nothing was stored, run it again");
      }
    }
    return slot;
  }

  #publish(slot: number, state: number): void {
    Atomics.store(this.#states, slot, state);
    Atomics.notify(this.#states, slot);
  }
}

function ended(cause?: unknown): TsdosError {
  const message = "the hashing thread was closed, or has ended early; nothing was stored, run it again";
  return new TsdosError("IO_ERROR", message, {}, cause);
}
