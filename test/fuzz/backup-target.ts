import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { normalize } from "node:path";
import { Writable } from "node:stream";
import { frameTypes, printFrame } from "../../src/format/backup-protocol.ts";
import { keyOf } from "../../src/key/hash.ts";
import { Connection } from "../../src/maintenance/backup/connection.ts";
import { Receiver } from "../../src/maintenance/backup/receiver.ts";
import { RestorePlace } from "../../src/maintenance/backup/restore-place.ts";
import { serveTarget } from "../../src/maintenance/backup/serve-target.ts";
import { InterceptedFileSystem, MemoryFileSystem } from "../../src/testing.ts";
import { allowCoded, type Target, textOf } from "./target.ts";

const PLACE = "/backups/restored";
const content = Buffer.from("content of an object");
const key = keyOf(content);
const path = `loose/${key.slice(0, 2)}/${key.slice(2)}`;

/** A frame as JSON has it: its type, and its fields, or text that is data. */
type FrameSpec = readonly [type: keyof typeof frameTypes, payload: object | string];

const subject = { containerId: "0123456789abcdef0123456789abcdef", formatVersion: 2 };
const begin: FrameSpec = ["request", { method: "begin", subject, options: { verify: "full", dryRun: false } }];
const sha256 = createHash("sha256").update(content).digest("hex");
const put: readonly FrameSpec[] = [
  ["request", { method: "put", file: { path, mtimeMs: 1000 } }],
  ["data", content.toString()],
  ["end", { sha256 }],
];
const sessions: readonly (readonly FrameSpec[])[] = [
  [["request", { method: "offer", files: [{ path, size: content.length, sha256 }] }]],
  [
    ["request", { method: "put", file: { path: "packed/0.pack", base: { base: 0, length: 5 } } }],
    ["data", content.toString()],
    ["end", { cancelled: true }],
  ],
  [["request", { method: "find", path: "../../../secret", hashUpTo: 100 }]],
  [["request", { method: "find", path, hashUpTo: 5 }]],
  [["request", { method: "put", file: { path: "/secret", mtimeMs: 1000 } }], ...put.slice(1)],
  [["request", { method: "drop", path: "../../../secret" }]],
  [["request", { method: "drop", path }]],
  [["request", { method: "removable", keep: 1 }]],
  [["request", { method: "finish", options: { keep: 1 } }]],
];

/** The frames of a session that is written as JSON, in which more can be changed than in its bytes; else the bytes as they are. */
function framesOf(bytes: Uint8Array): Uint8Array {
  try {
    const specs = JSON.parse(textOf(bytes)) as FrameSpec[];
    const printed = specs.map(([type, payload]) => {
      const text = typeof payload === "string" ? payload : JSON.stringify(payload);
      return printFrame(frameTypes[type] ?? 1, Buffer.from(text));
    });
    return Buffer.concat(printed);
  } catch {
    return bytes;
  }
}

/** What the other side of a backup may ask for: nothing outside of the folder is ever touched, whatever it is. */
export const backupTargets: readonly Target[] = [
  {
    name: "session of a backup",
    samples: sessions.map((middle) => Buffer.from(JSON.stringify([begin, ...put, ...middle, ...put]))),
    async run(bytes) {
      const outside: string[] = [];
      const memory = new MemoryFileSystem();
      memory.makeDirectory("/backups");
      const fs = new InterceptedFileSystem(memory, ({ name, path: first, to }) => {
        for (const each of [first, to ?? first]) {
          if (each === "/" || (each !== undefined && !`${normalize(each)}/`.startsWith("/backups/")))
            outside.push(`${name} ${each}`);
        }
        return undefined;
      });
      const input = (async function* () {
        yield framesOf(bytes);
      })();
      const output = new Writable({ write: (_chunk, _encoding, done) => done() });
      const target = new Receiver(fs, new RestorePlace(fs, PLACE, { acquire: async () => {}, close() {} }));
      await allowCoded(() => serveTarget(new Connection(input, output), target));
      await allowCoded(() => target.close());
      assert.deepEqual(outside, []);
      assert.deepEqual(fs.openFiles, []);
    },
    cost: 10,
  },
];
