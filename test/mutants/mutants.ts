/** A deliberate bug: `find`, which stands in the file exactly once, becomes `replace`. */
export interface Mutant {
  readonly bug: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The proof that must catch it; others may, too. */
  readonly caughtBy: ProofName;
}

export type ProofName = "crash explorer" | "faults" | "damage" | "model" | "conformance" | "side by side";

/** The test files of each proof. */
export const proofs: Readonly<Record<ProofName, readonly string[]>> = {
  "crash explorer": ["test/crash/crash.test.ts"],
  faults: ["test/bad-input/faults.test.ts"],
  damage: ["test/corruption/damage.test.ts"],
  model: ["test/model/container.test.ts"],
  conformance: ["test/conformance/container.test.ts", "test/conformance/packed.test.ts"],
  "side by side": ["test/unit/close-while-working.test.ts", "test/unit/copies-side-by-side.test.ts"],
};

export const mutants: readonly Mutant[] = [
  {
    bug: "a pack is not synced",
    file: "src/store/pack-writer.ts",
    find: "          context.fs.sync(this.#file as number);\n",
    replace: "",
    caughtBy: "crash explorer",
  },
  {
    bug: "the entries are not synced",
    file: "src/pack-index/toc-file.ts",
    find: "      sync?.(file);\n",
    replace: "      sync?.name;\n",
    caughtBy: "crash explorer",
  },
  {
    bug: "entries are appended before the pack is synced",
    file: "src/store/pack-writer.ts",
    find: `      this.flush();
      if (this.#sync) {`,
    replace: `      this.flush();
      index.commit(this.#packId, { bytes: this.#pending.bytes, count: this.#pending.count }, this.#sync);
      if (this.#sync) {`,
    caughtBy: "crash explorer",
  },
  {
    bug: "the folder is not synced after a loose object got its name",
    file: "src/store/loose-writer.ts",
    find: "    this.#store.folders.sync(pending.map(({ key }) => key));\n",
    replace: "",
    caughtBy: "crash explorer",
  },
  {
    bug: "the name of a new folder of loose objects is not synced",
    file: "src/store/loose-folders.ts",
    find: "    this.#fs.syncDirectory(this.root);\n",
    replace: "",
    caughtBy: "crash explorer",
  },
  {
    bug: "a loose file is renamed before it is synced",
    file: "src/store/loose-writer.ts",
    find: "      await this.#context.fs.syncAll(pending.map(({ file }) => file));\n",
    replace: "      await Promise.resolve();\n",
    caughtBy: "crash explorer",
  },
  {
    bug: "a loose copy is removed before the packed one is durable",
    file: "src/maintenance/clean.ts",
    find: "if (options.dryRun || packed.ensureDurable(reader.entry)) copies.push",
    replace: "copies.push",
    caughtBy: "crash explorer",
  },
  {
    bug: "what delete does in packs is not synced",
    file: "src/store/packed-store.ts",
    find: "this.index.removing(collectKeys(present), present.length, sync));",
    replace: "this.index.removing(collectKeys(present), present.length, false));",
    caughtBy: "crash explorer",
  },
  {
    bug: "content that is there counts as durable",
    file: "src/store/packed-store.ts",
    find: "    if (this.#durable.get(packId) === version) return true;\n",
    replace: "    if (version > -1) return true;\n",
    caughtBy: "crash explorer",
  },
  {
    bug: "repack removes the old pack before the new one is durable",
    file: "src/maintenance/repack-group.ts",
    find: "      fs.sync(file);\n      return fs.size(file);\n",
    replace: "      return fs.size(file);\n",
    caughtBy: "crash explorer",
  },
  {
    bug: "a TOC is cut behind its header, whatever it holds",
    file: "src/pack-index/toc-file.ts",
    find: "      if (this.#fs.size(file) > this.position) this.#fs.truncate(file, this.position);\n",
    replace: "      this.#fs.truncate(file, ENTRY_SIZE);\n",
    caughtBy: "conformance",
  },
  {
    bug: "a sync that failed is tried again and believed",
    file: "src/store/packed-store.ts",
    find: "    if (this.#suspect.has(packId) || this.index.isSuspect(packId)) return false;\n",
    replace: "",
    caughtBy: "faults",
  },
  {
    bug: "a failed append leaves the pack shorter than its entries say",
    file: "src/store/pack-writer.ts",
    find: "      this.#committed = this.#begun ?? this.#end;\n      const isShared",
    replace: "      const isShared",
    caughtBy: "faults",
  },
  {
    bug: "a sandbox file stays when it cannot be written",
    file: "src/store/loose-writer.ts",
    find: "      fs.write(file, bytes, 0, bytes.length, 0);\n    } catch (error) {\n      this.#drop(file, temporary);\n",
    replace: "      fs.write(file, bytes, 0, bytes.length, 0);\n    } catch (error) {\n      fs.close(file);\n",
    caughtBy: "faults",
  },
  {
    bug: "an error of the disk reads as absent",
    file: "src/store/packed-store.ts",
    find: "    const entry = this.index.get(this.#key, 0);\n    if (entry !== undefined || !this.#refresh()) return entry;\n",
    replace: `    let entry: PackEntry | undefined;
    try {
      entry = this.index.get(this.#key, 0);
    } catch {
      return undefined;
    }
    if (entry !== undefined || !this.#refresh()) return entry;
`,
    caughtBy: "damage",
  },
  {
    bug: "the checksum of stored bytes is not compared",
    file: "src/store/packed-reader.ts",
    find: "    if (this.#hasChecksum && checksumOf(stored, flags) !== checksum) throw this.#badChecksum();\n",
    replace: "",
    caughtBy: "damage",
  },
  {
    bug: "the hash of a loose object is not compared",
    file: "src/store/loose-reader.ts",
    find: "    if (mustHash(this.#verify, false, this.rawSize)) verifyKey(bytes, this.#place);\n",
    replace: "",
    caughtBy: "damage",
  },
  {
    bug: "entries are taken whatever their checksum",
    file: "src/pack-index/toc-file.ts",
    find: "        if (!isValidTocEntry(buffer, entry)) {\n          const",
    replace: "        if (buffer[entry] === undefined) {\n          const",
    caughtBy: "damage",
  },
  {
    bug: "tombstones are forgotten when a segment is written",
    file: "src/pack-index/segments-on-disk.ts",
    find: "{ final: isFirst, retired }",
    replace: "{ final: true, retired }",
    caughtBy: "crash explorer",
  },
  {
    bug: "repair takes a lost object out before it is on the list",
    file: "src/maintenance/repair-objects.ts",
    find: `    this.#quarantine.addLost(this.#toList);
    // Loose writers go on: what they have stored anew stays, and what they have deleted is gone.
    for (const { path, name, seen } of this.#toMove)
      this.#quarantine.move(path, name, (file) => isSameFile(file, seen));
`,
    replace: `    // Loose writers go on: what they have stored anew stays, and what they have deleted is gone.
    for (const { path, name, seen } of this.#toMove)
      this.#quarantine.move(path, name, (file) => isSameFile(file, seen));
    this.#quarantine.addLost(this.#toList);
`,
    caughtBy: "crash explorer",
  },
  {
    bug: "entries move up when repair makes a table of contents anew",
    file: "src/maintenance/entry-writer.ts",
    find: "    while (this.#end + this.#buffered < at) this.#append(FILLER);\n",
    replace: "",
    caughtBy: "crash explorer",
  },
  {
    bug: "the name of a table of contents that repair has made anew is not synced",
    file: "src/maintenance/repair-tocs.ts",
    find: "    fs.syncDirectory(files.folder);\n",
    replace: "",
    caughtBy: "crash explorer",
  },
  {
    bug: "the list of lost objects is not synced",
    file: "src/maintenance/quarantine.ts",
    find: `      fs.write(file, bytes, 0, bytes.length, end);
      fs.sync(file);
`,
    replace: `      fs.write(file, bytes, 0, bytes.length, end);
`,
    caughtBy: "crash explorer",
  },
  {
    bug: "the history is replaced before the new one is synced",
    file: "src/replace-file.ts",
    find: "    if (sync) fs.sync(file);\n",
    replace: "",
    caughtBy: "crash explorer",
  },
  {
    bug: "stored bytes that were verified are used after others may have read into their memory",
    file: "src/store/packed-reader.ts",
    find: "    return use(stored);\n",
    replace: "    return Promise.resolve(stored).then(use);\n",
    caughtBy: "side by side",
  },
  {
    bug: "whoever closes a container frees the lock of a repack that goes on",
    file: "src/fs/os-lock.ts",
    find: `    this.#isToClose = true;
`,
    replace: `    this.release();
`,
    caughtBy: "side by side",
  },
];
