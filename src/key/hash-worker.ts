import { createHash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { CLOSED, FREE, type HashRing, LAST, SLOT_SIZE, SLOTS } from "./hash-ring.ts";

/** The thread that `hash-thread.ts` starts: takes slots in turn until the last one, then posts the key and ends. */
const ring = workerData as HashRing;
const states = new Int32Array(ring.states);
const bytes = new Uint8Array(ring.bytes);
const hash = createHash("sha256");
parentPort?.postMessage("ready");
for (let turn = 0; ; turn++) {
  const slot = turn % SLOTS;
  Atomics.wait(states, slot, FREE);
  const state = Atomics.load(states, slot);
  if (state === CLOSED) break;
  if (state === LAST) {
    parentPort?.postMessage(hash.digest("hex"));
    break;
  }
  hash.update(bytes.subarray(slot * SLOT_SIZE, slot * SLOT_SIZE + state));
  Atomics.store(states, slot, FREE);
  Atomics.notify(states, slot);
}
