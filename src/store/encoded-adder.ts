import type { ObjectKey } from "../key/object-key.ts";
import { release } from "../release.ts";
import type { Compressing } from "./compressing.ts";
import { Pacer } from "./context.ts";
import { InOrder } from "./in-order.ts";
import { addEncoded } from "./large-object.ts";
import type { PackWriter } from "./pack-writer.ts";
import { type Encoded, SmallEncoder, TASK_SIZE } from "./small-encoder.ts";

/** Objects whose contents are encoded together, as many as one task has room for. */
const TOGETHER = 64;
/** Groups that were encoded in this thread, and wait for those before them. */
const OWN_WAITING = 1;

/** Objects that are gathered, or being encoded. */
interface Group {
  readonly memory: Buffer;
  readonly keys: ObjectKey[];
  /** In `memory`. */
  readonly contents: Buffer[];
  bytes: number;
}

/**
 * Adds small contents to a pack, in the order in which they come. Once there are enough of them, they are encoded by several
 * threads; until {@link drain}, the last ones are then not in the writer yet.
 */
export class EncodedAdder implements Disposable {
  readonly #writer: PackWriter;
  readonly #compressing: Compressing;
  readonly #encoder: SmallEncoder;
  readonly #pacer = new Pacer();
  readonly #underWay = new InOrder<Group, Encoded>();
  #gathered: Group | undefined;
  /** Those that are gathered or under way. */
  readonly #keys = new Set<ObjectKey>();

  /** @throws RangeError as `checkThreads` */
  constructor(writer: PackWriter, compressing: Compressing, threads?: number, program?: URL) {
    this.#writer = writer;
    this.#compressing = compressing;
    this.#encoder = new SmallEncoder(compressing, threads, program);
  }

  /** True when this content was given to {@link add}, and has not come to the writer yet. */
  has(key: ObjectKey): boolean {
    return this.#keys.size > 0 && this.#keys.has(key);
  }

  /** Adds new content; answers without a promise where there is nothing to wait for. After that, `bytes` may be used again. */
  add(key: ObjectKey, bytes: Uint8Array): Promise<void> | undefined {
    if (this.#encoder.width === 0 && this.#isIdle) return this.#addHere(key, bytes);
    if (bytes.length > TASK_SIZE) return this.#drain().then(() => this.#addHere(key, bytes));
    const hasRoom = (this.#gathered?.bytes ?? 0) + bytes.length <= TASK_SIZE;
    return hasRoom ? this.#gather(key, bytes) : this.#encode().then(() => this.#gather(key, bytes));
  }

  get #isIdle(): boolean {
    return this.#gathered === undefined && this.#underWay.size === 0;
  }

  #addHere(key: ObjectKey, bytes: Uint8Array): undefined {
    const encoded = this.#encoder.encode(bytes);
    addEncoded(this.#writer, key, bytes, encoded, this.#compressing);
    if (encoded !== undefined) release(encoded);
  }

  #gather(key: ObjectKey, bytes: Uint8Array): Promise<void> | undefined {
    this.#gathered ??= { memory: this.#encoder.memory(), keys: [], contents: [], bytes: 0 };
    const group = this.#gathered;
    group.memory.set(bytes, group.bytes);
    group.contents.push(group.memory.subarray(group.bytes, group.bytes + bytes.length));
    group.keys.push(key);
    group.bytes += bytes.length;
    this.#keys.add(key);
    return group.keys.length < TOGETHER ? undefined : this.#encode();
  }

  /** Has what was gathered encoded, and adds what was encoded meanwhile. */
  async #encode(): Promise<void> {
    const group = this.#gathered;
    if (group === undefined) return;
    this.#gathered = undefined;
    this.#underWay.begin(group, this.#encoder.encodeTogether(group.memory, group.contents));
    // Threads say meanwhile what they have done.
    await this.#pacer.pause();
    while (this.#underWay.isFirstDone || this.#underWay.size > this.#encoder.width + OWN_WAITING)
      await this.#addFirst();
  }

  #addFirst(): Promise<void> {
    return this.#underWay.useFirst(({ keys, contents }, { encoded, release: letGo }) => {
      for (const [i, key] of keys.entries()) {
        addEncoded(this.#writer, key, contents[i] as Buffer, encoded[i], this.#compressing);
        this.#keys.delete(key);
      }
      letGo();
      return undefined;
    });
  }

  /** Brings all to the writer; answers without a promise when it has all. */
  drain(): Promise<void> | undefined {
    return this.#isIdle ? undefined : this.#drain();
  }

  async #drain(): Promise<void> {
    await this.#encode();
    while (this.#underWay.size > 0) await this.#addFirst();
  }

  /** Forgets what has not come to the writer yet. */
  discard(): void {
    this.#gathered = undefined;
    this.#underWay.clear();
    this.#keys.clear();
  }

  /** Ends the threads. */
  [Symbol.dispose](): void {
    this.#encoder[Symbol.dispose]();
  }
}
