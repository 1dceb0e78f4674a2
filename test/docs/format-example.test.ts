// The worked example of docs/format.md. After a change of the format, `UPDATE_DOCS=1` writes the new bytes into the page.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { printSeekTable } from "../../src/format/seek-table.ts";
import { Container, type InsertResult } from "../../src/index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { markedBlock, project, readText } from "./support.ts";

const PAGE = "docs/format.md";
const CONFIG = {
  container_version: 2,
  loose_prefix_len: 2,
  pack_size_target: 4294967296,
  hash_type: "sha256",
  container_id: "00112233445566778899aabbccddeeff",
  compression_algorithm: "zstd:+3",
};
const PACKED = ["hello, world\n", "The quick brown fox jumps over the lazy dog.\n", "to be deleted\n"];

/** As `xxd` prints it, without spaces at the ends of lines. */
function hexDump(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 16) {
    const row = Buffer.from(bytes.subarray(at, at + 16));
    const hex = row.toString("hex").replace(/.{4}(?=.)/g, "$& ");
    const ascii = row.toString("latin1").replace(/[^\x20-\x7e]/g, ".");
    text += `${at.toString(16).padStart(8, "0")}: ${hex.padEnd(39)}  ${ascii}`.trimEnd();
    text += "\n";
  }
  return text;
}

/** Makes the example's container, and returns what the page shows of it, by mark. */
async function makeExample(folder: string): Promise<Map<string, string>> {
  mkdirSync(folder);
  const config = `${JSON.stringify(CONFIG, null, 4)}\n`;
  writeFileSync(join(folder, "config.json"), config);
  await using container = await Container.open(folder);
  const { key } = await container.insert(Buffer.from("tsdos\n"));
  const loose = `loose/${key.slice(0, 2)}/${key.slice(2)}`;
  const sources = PACKED.map((text) => Buffer.from(text));
  const inserted: InsertResult[] = await Array.fromAsync(container.insertMany(sources, { to: "packed" }));
  await container.delete([inserted[2]!.key]);
  await container.rebuildIndex();
  const read = (path: string): Buffer => readFileSync(join(folder, path));
  const frames = [
    { storedSize: 300_000, rawSize: 1024 ** 2 },
    { storedSize: 123_456, rawSize: 1_500_000 - 1024 ** 2 },
  ];
  return new Map([
    ["config.json", config],
    ["loose", `${loose}\n${hexDump(read(loose))}`],
    ["packed/0.pack", hexDump(read("packed/0.pack"))],
    ["packed/0.toc", hexDump(read("packed/0.toc"))],
    ["packed/index/00000001.seg", hexDump(read("packed/index/00000001.seg"))],
    ["packed/index/MANIFEST", read("packed/index/MANIFEST").toString()],
    ["seek table", hexDump(printSeekTable(frames))],
  ]);
}

test("the worked example of docs/format.md has the bytes that tsdos writes", async () => {
  const example = await makeExample(join(temporaryFolder(), "container"));
  if (process.env["UPDATE_DOCS"] === "1") {
    let page = readText(PAGE);
    for (const [mark, text] of example) {
      const start = `<!-- bytes: ${mark} -->\n\`\`\`text\n`;
      const from = page.indexOf(start) + start.length;
      page = page.slice(0, from) + text + page.slice(page.indexOf("```", from));
    }
    writeFileSync(join(project, PAGE), page);
  }
  const page = readText(PAGE);
  for (const [mark, text] of example) assert.equal(markedBlock(page, `bytes: ${mark}`), text, mark);
  const first = example
    .get("packed/0.toc")
    ?.split("\n")
    .slice(4, 6)
    .map((line) => line.slice(10, 49).replaceAll(" ", ""))
    .join("");
  assert.ok(page.includes(`key \`${first}\``), `the page names the first entry's key ${first}`);
});
