import { readFileSync } from "node:fs";
import { join } from "node:path";

export const project: string = join(import.meta.dirname, "../..");

/** The text of a file of the project. */
export function readText(path: string): string {
  return readFileSync(join(project, path), "utf8");
}

/** The code blocks of a page, in their order. `mark` is the text of an HTML comment on the line before. */
export interface CodeBlock {
  readonly language: string;
  readonly mark: string | undefined;
  readonly code: string;
}

export function codeBlocks(markdown: string): CodeBlock[] {
  const blocks = markdown.matchAll(/(?:^<!-- ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$/gms);
  return Array.from(blocks, ([, mark, language = "", code = ""]) => ({ language, mark, code }));
}

export function markedBlock(markdown: string, mark: string): string {
  const found = codeBlocks(markdown).find((block) => block.mark === mark);
  if (found === undefined) throw new Error(`the page has no code block marked "${mark}"`);
  return found.code;
}
