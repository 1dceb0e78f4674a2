import { type Next, randomBytes } from "../support/random.ts";

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 2 ** 48 - 1] as const;
/** Text that parsers of text may stumble over. */
const TOKENS = [
  '"',
  "{",
  "}",
  "[".repeat(3000),
  "null",
  "true",
  "-1",
  "0",
  "1e999",
  "1.5",
  "9007199254740993",
  "__proto__",
  "\\u0000",
  "\\x00",
  "\\",
  "\t",
  "\n",
  "\r",
  " ",
  "\u0000",
  "\ufeff",
  "\u{1f600}",
  "..",
  "/",
  "-",
  "+",
  "KiB",
  "ms",
  "9".repeat(400),
];

const pick = <T>(items: readonly T[], next: Next): T => items[next() % items.length] as T;

function replaced(bytes: Uint8Array, from: number, to: number, by: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);
}

/** Writes an integer of 1, 2, 4, 6 or 8 bytes somewhere, aligned more often than not. */
function withExtreme(bytes: Uint8Array, next: Next): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const size = pick([1, 2, 4, 6, 8], next);
  if (copy.length < size) return copy;
  let at = next() % (copy.length - size + 1);
  if (next() % 3 > 0) at -= at % Math.min(size, 4);
  const value = pick(EXTREMES, next);
  for (let i = 0; i < size; i++) copy[at + i] = Math.floor(value / 2 ** (8 * i)) & 255;
  return copy;
}

const VALUES = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  2 ** 53,
  "",
  "x",
  "__proto__",
  [],
  {},
  [null],
  { length: 2 },
  { toString: 1, valueOf: 1 },
] as const;

/** JSON with one of its values replaced, left out, or there twice; what is no JSON stays. So do further lines behind a first one. */
function withOtherValue(bytes: Uint8Array, next: Next): Uint8Array {
  const text = Buffer.from(bytes).toString();
  const line = text.startsWith("{\n") ? -1 : text.indexOf("\n");
  const end = line < 0 ? text.length : line;
  try {
    const changed = JSON.stringify(otherValue(JSON.parse(text.slice(0, end)), next)) ?? "";
    return Buffer.from(`${changed}${text.slice(end)}`);
  } catch {
    return bytes;
  }
}

function otherValue(value: unknown, next: Next): unknown {
  const root = { it: value };
  let parent: Record<string, unknown> = root;
  let name = "it";
  for (;;) {
    const child = parent[name];
    const names = typeof child === "object" && child !== null ? Object.keys(child) : [];
    if (names.length === 0 || next() % 4 === 0) break;
    parent = child as Record<string, unknown>;
    name = pick(names, next);
  }
  const way = next() % 6;
  if (way === 0) delete parent[name];
  else if (way === 1) parent[pick(["", "toString", "x"], next)] = parent[name];
  else parent[name] = structuredClone(pick(VALUES, next));
  return root.it;
}

type Mutation = (bytes: Uint8Array, next: Next, others: readonly Uint8Array[]) => Uint8Array;

const mutations: readonly Mutation[] = [
  (bytes, next) => {
    const copy = Uint8Array.from(bytes);
    for (let flips = 1 + (next() % 4); flips > 0 && copy.length > 0; flips--) {
      const at = next() % copy.length;
      copy[at] = (copy[at] as number) ^ (1 << (next() % 8));
    }
    return copy;
  },
  (bytes, next) => bytes.slice(0, next() % (bytes.length + 1)),
  (bytes, next) => bytes.slice(next() % (bytes.length + 1)),
  (bytes, next) => {
    const from = next() % (bytes.length + 1);
    return replaced(bytes, from, from, bytes.slice(from, from + 1 + (next() % 200)));
  },
  (bytes, next) => {
    const from = next() % (bytes.length + 1);
    return replaced(bytes, from, Math.min(bytes.length, from + 1 + (next() % 80)), new Uint8Array());
  },
  (bytes, next) => {
    const from = next() % (bytes.length + 1);
    return replaced(bytes, from, from, randomBytes(1 + (next() % 70), next));
  },
  (bytes, next) => {
    const from = next() % (bytes.length + 1);
    const length = next() % 65;
    return replaced(
      bytes,
      from,
      Math.min(bytes.length, from + length),
      new Uint8Array(length).fill(pick([0, 255], next)),
    );
  },
  (bytes, next, others) => {
    const other = pick(others, next);
    const from = next() % (other.length + 1);
    const at = next() % (bytes.length + 1);
    return replaced(bytes, at, Math.min(bytes.length, at + (next() % 130)), other.slice(from, from + (next() % 130)));
  },
  (bytes, next) => {
    const from = next() % (bytes.length + 1);
    const to = next() % 2 === 0 ? from : Math.min(bytes.length, from + (next() % 12));
    return replaced(bytes, from, to, Buffer.from(pick(TOKENS, next)));
  },
  (bytes, next) => {
    // Another number in the place of one.
    const text = Buffer.from(bytes).toString("latin1");
    const found = [...text.matchAll(/-?\d+/g)];
    if (found.length === 0) return bytes;
    const { index, 0: digits } = pick(found, next);
    return replaced(
      bytes,
      index,
      index + digits.length,
      Buffer.from(String(pick([...EXTREMES, -1, 1.5, 1e300], next))),
    );
  },
  withExtreme,
  withExtreme,
  withOtherValue,
];

/** A sample that was changed one to three times, or bytes that are nobody's. */
export function mutated(samples: readonly Uint8Array[], next: Next): Uint8Array {
  if (next() % 16 === 0) return randomBytes(next() % 300, next);
  let bytes = pick(samples, next);
  if (next() % 3 === 0) bytes = withOtherValue(bytes, next);
  for (let times = next() % 4; times > 0; times--) bytes = pick(mutations, next)(bytes, next, samples);
  return bytes;
}
