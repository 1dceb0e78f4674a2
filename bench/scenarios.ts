import type { Corpus, Expected, KeyList } from "./corpus.ts";
import { LARGE_STRIDE, SMALL_SIZE, SMALL_STRIDE } from "./corpus.ts";
import type { ProgramName } from "./programs.ts";
import type { Command, Operation } from "./protocol.ts";

/** One line of the result. */
export interface Line {
  readonly id: string;
  readonly title: string;
  /** `process`: nothing is synced; rsdos is the one to compare with. `full`: synced; disk-objectstore is. */
  readonly durability: "process" | "full";
  /** Programs that are shown but not compared on this line, as they cannot but do it with the other durability. */
  readonly unlike?: readonly ProgramName[];
}

export interface Step {
  /** `create` begins a new container, which the steps after it work on. */
  readonly op: Operation;
  readonly where?: "loose" | "packed";
  /** Absent: a preparation, which is not measured. */
  readonly line?: Line;
  /** Default: those of the scenario. */
  readonly programs?: readonly ProgramName[];
  readonly input?: Pick<Command, "corpus" | "size" | "count" | "file" | "keys" | "stride" | "compression">;
  readonly expected?: Expected;
}

/** Steps that each program does in containers of its own, on a fresh file system. */
export interface Scenario {
  readonly programs: readonly ProgramName[];
  readonly sync: boolean;
  /** Bytes of memory, page cache included, that a step may need. */
  readonly memory: number;
  readonly steps: readonly Step[];
}

export interface Counts {
  /** Small objects that are stored loose, then packed. */
  readonly loose: number;
  /** Small objects that are stored in packs at once. */
  readonly bulk: number;
  /** Small objects that are stored loose with sync. */
  readonly synced: number;
  readonly single: number;
}

const SMALL_MEMORY = 2 ** 29;
const LARGE_MEMORY = 2.5 * 2 ** 30;

const all = ["rsdos", "dos", "tsdos"] as const;
const synced = ["dos", "tsdos"] as const;
const create: Step = { op: "create", input: { compression: "none" } };

export function scenarios(corpus: Corpus, counts: Counts): Scenario[] {
  return [
    looseThenPacked(corpus, counts),
    straightToPacks(corpus, counts),
    largeLoose(corpus),
    largePacked(corpus),
    largePackedInBulk(corpus),
    smallSynced(corpus, counts),
    largeSynced(corpus),
  ];
}

function looseThenPacked(corpus: Corpus, { loose, single }: Counts): Scenario {
  const small = `${count(loose)} × 1 KiB`;
  const looseKeys = corpus.keyList("loose", loose, loose, 11);
  const packedKeys = corpus.keyList("packed", loose, loose, 12);
  const singleKeys = corpus.keyList("single", loose, single, 13);
  const insert: Line = { ...unsynced("loose-in", `${small} in, loose`), unlike: ["dos"] };
  return {
    programs: all,
    sync: false,
    memory: SMALL_MEMORY,
    steps: [
      create,
      { op: "insert", where: "loose", line: insert, ...first(corpus, loose) },
      { op: "read", where: "loose", line: unsynced("loose-out", `${small} out, loose, bulk`), ...readSmall(looseKeys) },
      { op: "pack", line: unsynced("pack", `${small} packed`) },
      { op: "clean", programs: synced },
      {
        op: "read",
        where: "packed",
        line: unsynced("packed-out", `${small} out, packed, bulk`),
        ...readSmall(packedKeys),
      },
      {
        op: "read-single",
        where: "packed",
        line: unsynced("single", `${count(single)} × 1 KiB out, packed, one by one`),
        ...readSmall(singleKeys),
      },
    ],
  };
}

function straightToPacks(corpus: Corpus, { loose, bulk }: Counts): Scenario {
  const keys = corpus.keyList("bulk", bulk, loose, 14);
  return {
    programs: all,
    sync: false,
    memory: SMALL_MEMORY,
    steps: [
      create,
      {
        op: "insert",
        where: "packed",
        line: unsynced("bulk-in", `${count(bulk)} × 1 KiB straight to packs`),
        ...first(corpus, bulk),
      },
      {
        op: "read",
        where: "packed",
        line: unsynced("bulk-out", `${count(loose)} of the ${count(bulk)} out, bulk`),
        ...readSmall(keys),
      },
      { op: "list", line: unsynced("list", `${count(bulk)} keys listed`), expected: corpus.stored(bulk) },
    ],
  };
}

function largeLoose(corpus: Corpus): Scenario {
  const size = bytes(corpus.largeSize);
  const insert: Line = { ...unsynced("large-loose-in", `${size} file in, loose`), unlike: ["dos"] };
  return {
    programs: all,
    sync: false,
    memory: LARGE_MEMORY,
    steps: [create, storeLarge(corpus, "insert-file", "loose", insert), ...readLarge(corpus, "loose", size)],
  };
}

function largePacked(corpus: Corpus): Scenario {
  const size = bytes(corpus.largeSize);
  const insert = unsynced("large-packed-in", `${size} file in, packed, by \`insert\``);
  return {
    programs: all,
    sync: false,
    memory: LARGE_MEMORY,
    steps: [create, storeLarge(corpus, "insert-file", "packed", insert), ...readLarge(corpus, "packed", size)],
  };
}

/** rsdos stores a single file by way of its sandbox, but not a list with a single file. */
function largePackedInBulk(corpus: Corpus): Scenario {
  const insert = unsynced("large-packed-in-many", `${bytes(corpus.largeSize)} file in, packed, by \`insertMany\``);
  return {
    programs: all,
    sync: false,
    memory: LARGE_MEMORY,
    steps: [create, storeLarge(corpus, "insert-file-many", "packed", insert)],
  };
}

function smallSynced(corpus: Corpus, counts: Counts): Scenario {
  const loose = withSync("synced-loose-in", `${count(counts.synced)} × 1 KiB in, loose`);
  const pack = withSync("synced-pack", `${count(counts.synced)} × 1 KiB packed`);
  const packed = withSync("synced-packed-in", `${count(counts.loose)} × 1 KiB straight to packs`);
  return {
    programs: synced,
    sync: true,
    memory: SMALL_MEMORY,
    steps: [
      create,
      { op: "insert", where: "loose", line: loose, ...first(corpus, counts.synced) },
      { op: "pack", line: pack },
      create,
      { op: "insert", where: "packed", line: packed, ...first(corpus, counts.loose) },
    ],
  };
}

function largeSynced(corpus: Corpus): Scenario {
  const size = bytes(corpus.largeSize);
  const loose = withSync("synced-large-loose-in", `${size} file in, loose`);
  const packed = withSync("synced-large-packed-in", `${size} file in, packed, by \`insert\``);
  return {
    programs: synced,
    sync: true,
    memory: LARGE_MEMORY,
    steps: [
      create,
      storeLarge(corpus, "insert-file", "loose", loose),
      create,
      storeLarge(corpus, "insert-file", "packed", packed),
    ],
  };
}

function unsynced(id: string, title: string): Line {
  return { id, title, durability: "process" };
}

function withSync(id: string, title: string): Line {
  return { id, title, durability: "full" };
}

function first(corpus: Corpus, n: number): Pick<Step, "input" | "expected"> {
  return { input: { corpus: corpus.smallFile, size: SMALL_SIZE, count: n }, expected: corpus.stored(n) };
}

function readSmall(keys: KeyList): Pick<Step, "input" | "expected"> {
  return { input: { keys: keys.file, stride: SMALL_STRIDE }, expected: keys.expected };
}

function storeLarge(
  corpus: Corpus,
  op: "insert-file" | "insert-file-many",
  where: "loose" | "packed",
  line: Line,
): Step {
  const { objects, key } = corpus.largeKey.expected;
  return { op, where, line, input: { file: corpus.largeFile }, expected: { objects, key: key! } };
}

function readLarge(corpus: Corpus, where: "loose" | "packed", size: string): Step[] {
  const input = { keys: corpus.largeKey.file, stride: LARGE_STRIDE };
  const { key: _, ...expected } = corpus.largeKey.expected;
  return [
    {
      op: "stream",
      where,
      line: unsynced(`large-${where}-stream`, `${size} out, ${where}, streamed`),
      input,
      expected,
    },
    {
      op: "export",
      where,
      line: unsynced(`large-${where}-export`, `${size} out, ${where}, to a file`),
      input,
      expected,
    },
  ];
}

function count(n: number): string {
  return n.toLocaleString("en-US");
}

function bytes(n: number): string {
  return n % 2 ** 30 === 0 ? `${n / 2 ** 30} GiB` : `${n / 2 ** 20} MiB`;
}
