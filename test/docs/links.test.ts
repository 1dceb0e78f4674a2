// Links between the documents lead somewhere, and so do the references to documents in the code.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { project, readText } from "./support.ts";

const pages = [
  ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md"],
  ...readdirSync(join(project, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];
const sources = readdirSync(join(project, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => join("src", name));

function headingsOf(page: string): string[] {
  const text = readText(page).replaceAll(/^```.*?^```$/gms, "");
  return Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading = ""]) => heading);
}

/** The anchor that GitHub makes of a heading. */
function anchorOf(heading: string): string {
  const kept = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "");
  return kept.replaceAll(" ", "-");
}

for (const page of pages) {
  test(`the links of ${page} lead somewhere`, () => {
    const text = readText(page).replaceAll(/^```.*?^```$/gms, "");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : join(dirname(page), path);
      assert.ok(existsSync(join(project, file)), `${target}: there is no ${file}`);
      if (anchor !== undefined)
        assert.ok(headingsOf(file).map(anchorOf).includes(anchor), `${target}: no such heading`);
    }
  });
}

test("the documents that the code refers to exist, and have these headings", () => {
  for (const source of sources) {
    for (const [reference, page = "", heading] of readText(source).matchAll(/(docs\/[\w/-]+\.md)(?:, "([^"]+)")?/g)) {
      assert.ok(existsSync(join(project, page)), `${source}: ${reference}`);
      if (heading !== undefined) assert.ok(headingsOf(page).includes(heading), `${source}: ${reference}`);
    }
  }
});
