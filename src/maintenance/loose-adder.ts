import { copyMemory } from "../copy-memory.ts";
import { isTsdosError } from "../errors.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { release } from "../release.ts";
import type { Compressing } from "../store/compressing.ts";
import { addEncoded, addLarge } from "../store/large-object.ts";
import type { LooseStore } from "../store/loose-store.ts";
import type { PackWriter } from "../store/pack-writer.ts";
import type { SmallEncoder } from "../store/small-encoder.ts";
import { type Content, type LargeContent, SMALL_MAX } from "../store/source.ts";
import type { PackTally } from "./pack-tally.ts";
import type { PackOptions } from "./reports.ts";
import type { Unreadable } from "./unreadable.ts";

interface LooseAdderOptions extends Pick<PackOptions, "verifyHash" | "signal"> {
  readonly compressing: Compressing;
  readonly encoder: SmallEncoder;
  readonly unreadable: Unreadable;
}

/** Adds loose objects to a pack, one by one. */
export class LooseAdder {
  readonly #loose: LooseStore;
  readonly #writer: PackWriter;
  readonly #options: LooseAdderOptions;
  readonly #tally: PackTally;
  /** For what is read here. */
  #alone: Buffer | undefined;

  constructor(loose: LooseStore, writer: PackWriter, options: LooseAdderOptions, tally: PackTally) {
    this.#loose = loose;
    this.#writer = writer;
    this.#options = options;
    this.#tally = tally;
  }

  /** Bytes of the content; undefined when it is damaged, cannot be read, or is gone. */
  addLoose(key: ObjectKey): number | undefined | Promise<number | undefined> {
    const content = this.#contentOf(key);
    if (content === undefined) return undefined;
    if (content === "damaged") return this.#tally.damaged(key);
    if (content.small === undefined) return this.#addLarge(key, content);
    return this.addSmall(key, content.small);
  }

  #contentOf(key: ObjectKey): Content | "damaged" | undefined {
    const isCompared = this.#options.verifyHash !== false;
    this.#alone ??= copyMemory(SMALL_MAX + 1);
    try {
      return isCompared ? this.#loose.comparedContent(key, this.#alone) : this.#loose.content(key, this.#alone);
    } catch (error) {
      return this.#options.unreadable.passOver(error, key);
    }
  }

  /** `known`: how it is encoded, if that is known already. Answers the bytes of the content. */
  addSmall(key: ObjectKey, bytes: Uint8Array, known?: { readonly encoded: Uint8Array | undefined }): number {
    const { compressing, encoder } = this.#options;
    const encoded = known === undefined ? encoder.encode(bytes) : known.encoded;
    addEncoded(this.#writer, key, bytes, encoded, compressing);
    if (known === undefined && encoded !== undefined) release(encoded);
    return bytes.length;
  }

  async #addLarge(key: ObjectKey, content: LargeContent): Promise<number | undefined> {
    try {
      const added = await addLarge(this.#writer, content.chunks, {
        compressing: this.#options.compressing,
        size: content.size,
        signal: this.#options.signal,
        expected: key,
      });
      return added.key === key ? added.rawSize : this.#tally.damaged(key);
    } catch (error) {
      // It was deleted before it was opened.
      if (isTsdosError(error, "NOT_FOUND") && this.#loose.sizeOf(key) === undefined) return undefined;
      return this.#options.unreadable.passOver(error, key);
    }
  }
}
