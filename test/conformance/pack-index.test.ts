import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { SegmentedIndex } from "../../src/pack-index/segmented-index.ts";
import { openSqliteIndex } from "../../src/pack-index/sqlite-index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { packIndexConformance } from "./pack-index.ts";

const root = temporaryFolder();
let folders = 0;

function newFolder(): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  return folder;
}

packIndexConformance("SqliteIndex", () => {
  const path = join(newFolder(), "packs.idx");
  return { open: () => openSqliteIndex({ fs: new NodeFileSystem(), path, create: true }) };
});

packIndexConformance("SegmentedIndex", () => {
  const fs = new NodeFileSystem();
  const folder = newFolder();
  return { open: () => new SegmentedIndex({ fs, folder, containerId: "0123456789abcdef0123456789abcdef" }) };
});
