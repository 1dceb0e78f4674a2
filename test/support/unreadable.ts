import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { Container } from "../../src/container/container.ts";
import { type OpenStores, openStores } from "../../src/container/open-stores.ts";
import { type ErrorCode, TsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import type { PassedOver } from "../../src/maintenance/reports.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { loosePathOf, newContainer } from "./damage.ts";

/** One way in which a loose object, or its folder with all that is in it, cannot be read. */
export interface UnreadableKind {
  readonly code: ErrorCode;
  readonly errno: string;
  readonly what: "file" | "folder";
  /** Something else than a file is there, so that no object is. */
  readonly isNoFile?: boolean;
  /** Puts it there for real. */
  readonly spoil?: (path: string) => void;
  /** Else, which calls fail. `path`: of the file, or of the folder. */
  readonly fails?: (call: FileCall, path: string) => boolean;
}

const OPENING = ["open", "openIfExists"];

function linkToItself(path: string): void {
  renameSync(path, `${path}.was`);
  symlinkSync(path, path);
}

export const unreadableKinds: Readonly<Record<string, UnreadableKind>> = {
  "a file that nobody may open": {
    code: "ACCESS_DENIED",
    errno: "EACCES",
    what: "file",
    fails: ({ name, path }, file) => OPENING.includes(name) && path === file,
  },
  "a file with a bad sector": {
    code: "IO_ERROR",
    errno: "EIO",
    what: "file",
    fails: ({ name, path }, file) => /^read/.test(name) && path === file,
  },
  "a link to itself in the place of a file": { code: "IO_ERROR", errno: "ELOOP", what: "file", spoil: linkToItself },
  "a folder in the place of a file": {
    code: "IO_ERROR",
    errno: "EISDIR",
    what: "file",
    isNoFile: true,
    spoil: (path) => {
      renameSync(path, `${path}.was`);
      mkdirSync(path);
    },
  },
  "a named pipe in the place of a file": {
    code: "IO_ERROR",
    errno: "ESPIPE",
    what: "file",
    isNoFile: true,
    spoil: (path) => {
      renameSync(path, `${path}.was`);
      execFileSync("mkfifo", [path]);
    },
  },
  "a folder that nobody may list": {
    code: "ACCESS_DENIED",
    errno: "EACCES",
    what: "folder",
    fails: ({ name, path }, folder) => (name === "list" && path === folder) || path.startsWith(`${folder}/`),
  },
  "a folder of which nobody may reach the files": {
    code: "ACCESS_DENIED",
    errno: "EACCES",
    what: "folder",
    fails: ({ path }, folder) => path.startsWith(`${folder}/`),
  },
  "a folder with a bad sector": {
    code: "IO_ERROR",
    errno: "EIO",
    what: "folder",
    fails: ({ name, path }, folder) => name === "list" && path === folder,
  },
  "a link to itself in the place of a folder": {
    code: "IO_ERROR",
    errno: "ELOOP",
    what: "folder",
    spoil: linkToItself,
  },
};

/** Opens the stores of a container on a disk on which calls fail. */
export async function openFailing(root: string, errorOf: (call: FileCall) => Error | undefined): Promise<OpenStores> {
  await using container = await Container.open(root, { tidyIndex: false });
  const fs = new InterceptedFileSystem(new NodeFileSystem(), (call) => {
    const error = errorOf(call);
    return error === undefined ? undefined : { error };
  });
  return openStores({ fs, root, config: container.config, durability: "process", lockTimeoutMs: 0, create: false });
}

/** Opens the stores of a container of which an object, or its folder, cannot be read. */
export async function openUnreadable(root: string, key: ObjectKey, kind: UnreadableKind): Promise<OpenStores> {
  const { spoil, fails, code, errno } = kind;
  const path = unreadablePath(root, key, kind);
  spoil?.(path);
  return openFailing(root, (call) =>
    fails?.(call, path)
      ? new TsdosError(code, `cannot ${call.name} ${call.path}: on purpose (${errno})`, { path: call.path, errno })
      : undefined,
  );
}

/** What cannot be read. */
function unreadablePath(root: string, key: ObjectKey, { what }: UnreadableKind): string {
  const path = loosePathOf(root, key);
  return what === "file" ? path : dirname(path);
}

/** Objects in a container of which one cannot be read. */
export const OBJECTS = 30;

export interface Spoilt extends OpenStores {
  readonly root: string;
  /** Of all objects. */
  readonly keys: readonly ObjectKey[];
  /** Of the one that cannot be read. */
  readonly key: ObjectKey;
  /** What cannot be read. */
  readonly path: string;
}

type Where = "loose" | "both";

/** A container of which one object cannot be read, among others that can; they may be in packs, too. */
export async function spoilt(formatVersion: 1 | 2, kind: UnreadableKind, where: Where = "loose"): Promise<Spoilt> {
  const { root, container } = await newContainer({ formatVersion });
  const keys = await Array.fromAsync(container.insertMany(smallContents(OBJECTS, 1)), ({ key }) => key);
  if (where === "both") await container.pack({ clean: false });
  await container.close();
  keys.sort();
  // Others come before and after it, and none is in its folder.
  const key = keys.find(
    (one, i) => i > 5 && keys.every((other) => other === one || !other.startsWith(one.slice(0, 2))),
  );
  assert.ok(key !== undefined);
  const stores = await openUnreadable(root, key, kind);
  return { ...stores, root, keys, key, path: unreadablePath(root, key, kind) };
}

type Told = readonly { readonly code: string; readonly message: string; readonly path?: string }[];

/** What cannot be read is told once, with its code, its path, and what became of it. */
export function isTold(told: Told, { path }: Spoilt, { code }: UnreadableKind): void {
  assert.deepEqual(
    told.map((one) => [one.code, one.path]),
    [[code, path]],
  );
  assert.match(told[0]?.message ?? "", /: |; /);
}

export function isPassedOver({ unreadable, unreadableCount }: PassedOver, spoiled: Spoilt, kind: UnreadableKind): void {
  isTold(unreadable, spoiled, kind);
  assert.match(unreadable[0]?.message ?? "", /passed over, and is as it was$/);
  assert.equal(unreadableCount, 1);
}
