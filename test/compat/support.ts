import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Container } from "../../src/index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { LineProcess } from "../support/line-process.ts";
import { python } from "../support/python.ts";

const fixtures = join(import.meta.dirname, "../fixtures");

/** What a fixture holds; written by its maker in scripts/fixtures. */
export interface Expected {
  readonly madeBy: string;
  readonly what: string;
  /** Bytes of each object, by key. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly loose: readonly string[];
  readonly packed: readonly string[];
  /** Keys that were deleted. */
  readonly missing?: readonly string[];
  /** Bytes in packs that no row points to. */
  readonly deadBytes?: number;
}

export interface Fixture extends Expected {
  readonly name: string;
}

export function loadFixture(name: string): Fixture {
  return { name, ...(JSON.parse(readFileSync(join(fixtures, `${name}.json`), "utf8")) as Expected) };
}

/** A copy of the fixture, to work on; with the empty folders that git does not keep. */
export function copyFixture({ name }: Fixture): string {
  const folder = join(temporaryFolder(), "container");
  cpSync(join(fixtures, name), folder, { recursive: true });
  for (const part of ["loose", "packs", "sandbox", "duplicates"]) mkdirSync(join(folder, part), { recursive: true });
  return folder;
}

export function sha256(content: Uint8Array | string): string {
  return hash("sha256", content, "hex");
}

/** Text of `size` bytes that compresses well, different for each `name`. */
export function text(size: number, name: string): Uint8Array {
  return Buffer.from(`${name} lattice energy `.repeat(Math.ceil(size / (name.length + 16)))).subarray(0, size);
}

/** Bytes that do not compress, none of them NUL; the same for the same arguments. */
export function noise(size: number, name: string): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, i) => Buffer.from(sha256(`${name}${i}`), "hex"));
  return Buffer.concat(blocks)
    .subarray(0, size)
    .map((byte) => byte || 1);
}

/** Sizes by key. */
export function sizesOf(contents: readonly Uint8Array[]): Record<string, number> {
  return Object.fromEntries(contents.map((content) => [sha256(content), content.length]));
}

/** Every object that tsdos lists is among the expected ones, and the other way around; each reads as its key says. */
export async function assertHolds(container: Container, sizes: Readonly<Record<string, number>>): Promise<void> {
  const expected = Object.keys(sizes).sort();
  assert.deepEqual(await Array.fromAsync(container.keys()), expected);
  const seen: string[] = [];
  for await (const { key, object } of container.extractMany(expected, { verify: "hash" })) {
    assert.ok(object, `${key} is missing`);
    const content = await object.bytes();
    assert.equal(sha256(content), key);
    assert.equal(content.length, sizes[key]);
    assert.equal(object.rawSize, sizes[key]);
    seen.push(key);
  }
  assert.deepEqual(seen.sort(), expected);
}

/** What reading many objects gave. */
export interface ReadAll {
  /** SHA-256 and size of the content, by key. */
  readonly found: Record<string, [string, number]>;
  /** What was raised, by key. */
  readonly errors: Record<string, string>;
}

/** A Python process that has a container open, by the real disk-objectstore. */
export class Dos {
  readonly #process: LineProcess;
  readonly #elsewhere: { readonly folder?: string };

  /** With `other` its process is used, which takes half a second to start, for what another instance does in this folder. */
  constructor(t: { after(end: () => Promise<void>): void }, folder: string, other?: Dos) {
    this.#elsewhere = other === undefined ? {} : { folder };
    if (other !== undefined) {
      this.#process = other.#process;
      return;
    }
    this.#process = new LineProcess([python!, join(import.meta.dirname, "dos.py"), folder]);
    t.after(() => this.#process[Symbol.asyncDispose]());
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  kill(): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }

  /** @throws Error with what Python raised */
  async ask(op: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const answer = (await this.#process.ask({ op, ...parameters, ...this.#elsewhere })) as {
      ok?: unknown;
      error?: string;
    };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.ok;
  }

  async readAll(): Promise<ReadAll> {
    return (await this.ask("read-all")) as ReadAll;
  }

  async add(to: "loose" | "packed", contents: readonly Uint8Array[], compress = false): Promise<void> {
    const encoded = contents.map((content) => Buffer.from(content).toString("base64"));
    const keys = await this.ask("add", { to, contents: encoded, compress });
    assert.deepEqual(keys, contents.map(sha256));
  }

  /** The session that is open all the time reads every one of these objects right. */
  async assertReads(sizes: Readonly<Record<string, number>>): Promise<void> {
    assertRead((await this.ask("read", { keys: Object.keys(sizes) })) as ReadAll, sizes);
  }

  /** It lists exactly these objects, reads every one of them right, and finds nothing wrong. */
  async assertHolds(sizes: Readonly<Record<string, number>>): Promise<void> {
    assertRead(await this.readAll(), sizes);
    await this.assertValid();
  }

  async assertValid(): Promise<void> {
    const issues = (await this.ask("validate")) as Record<string, string[]>;
    assert.deepEqual(Object.values(issues).flat(), [], `issues: ${JSON.stringify(issues)}`);
  }
}

function assertRead({ found, errors }: ReadAll, sizes: Readonly<Record<string, number>>): void {
  assert.deepEqual(errors, {});
  assert.deepEqual(found, Object.fromEntries(Object.entries(sizes).map(([key, size]) => [key, [key, size]])));
}

/** `validate` of tsdos finds nothing wrong. */
export async function assertValid(container: Container): Promise<void> {
  const report = await container.validate();
  assert.deepEqual(report.problems, []);
  assert.equal(report.valid, true);
}
