import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ErrorCode, isTsdosError } from "../../src/errors.ts";
import type { FileSystem } from "../../src/file-system.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { InterceptedFileSystem, MemoryFileSystem } from "../../src/testing.ts";
import { temporaryFolder } from "../support/folders.ts";

/** What every FileSystem does alike, so that tests on one tell something of the others. */
function fileSystemConformance(name: string, make: () => { readonly fs: FileSystem; readonly root: string }): void {
  const check = (title: string, work: (fs: FileSystem, root: string) => void | Promise<void>): void => {
    test(title, async () => {
      const { fs, root } = make();
      await work(fs, root);
    });
  };
  const fails = (code: ErrorCode, path: string, work: () => unknown): void => {
    assert.throws(work, (error) => {
      assert.ok(isTsdosError(error, code), String(error));
      assert.equal(error.details.path, path);
      assert.ok(error.details.errno !== undefined);
      return true;
    });
  };
  const write = (fs: FileSystem, path: string, text: string): void => {
    const file = fs.open(path, "create");
    fs.write(file, Buffer.from(text), 0, text.length, 0);
    fs.close(file);
  };
  const read = (fs: FileSystem, path: string): string => {
    const file = fs.open(path, "read");
    const bytes = Buffer.alloc(fs.size(file));
    assert.equal(fs.read(file, bytes, 0, bytes.length, 0), bytes.length);
    fs.close(file);
    return bytes.toString("latin1");
  };

  describe(name, () => {
    check("the modes of open", (fs, root) => {
      const path = `${root}/file`;
      fails("NOT_FOUND", path, () => fs.open(path, "read"));
      assert.equal(fs.openIfExists(path), undefined);
      assert.equal(fs.openIfExists(`${root}/none/file`), undefined);
      fails("NOT_FOUND", `${root}/none/file`, () => fs.open(`${root}/none/file`, "create"));
      write(fs, path, "one");
      fails("IO_ERROR", path, () => fs.open(path, "create"));
      const update = fs.open(path, "update");
      fs.write(update, Buffer.from("xTWOx"), 1, 4, 3);
      fs.close(update);
      assert.equal(read(fs, path), "oneTWO");
      fs.close(fs.open(`${root}/new`, "update"));
      assert.equal(read(fs, `${root}/new`), "");
      const known = fs.openIfExists(path);
      assert.ok(known !== undefined);
      fs.close(known);
      assert.equal(fs.openIfExists(`${path}/below`), undefined);
    });

    check("reads by a single call, and beside the caller", async (fs, root) => {
      write(fs, `${root}/file`, "abcdef");
      const file = fs.open(`${root}/file`, "read");
      const into = Buffer.alloc(8, 120);
      assert.equal(fs.readOnce(file, into, 1, 4, 1), 4);
      assert.equal(into.toString("latin1"), "xbcdexxx");
      assert.equal(fs.readOnce(file, into, 0, 8, 6), 0);
      const others = [Buffer.alloc(8, 120), Buffer.alloc(8, 120), Buffer.alloc(8, 120)] as const;
      const [a, b, c] = others;
      const got = await Promise.all([
        fs.readAsync(file, a, 2, 6, 0),
        fs.readAsync(file, b, 0, 8, 4),
        fs.readAsync(file, c, 0, 8, 100),
      ]);
      assert.deepEqual(got, [6, 2, 0]);
      assert.deepEqual(
        others.map((bytes) => bytes.toString("latin1")),
        ["xxabcdef", "efxxxxxx", "xxxxxxxx"],
      );
      fs.close(file);
    });

    check("reads and writes at positions, cuts and sizes", (fs, root) => {
      const file = fs.open(`${root}/file`, "create");
      fs.write(file, Buffer.from("abcdef"), 0, 6, 4);
      assert.equal(fs.size(file), 10);
      const into = Buffer.alloc(20, 120);
      assert.equal(fs.read(file, into, 2, 15, 2), 8);
      assert.equal(into.toString("latin1"), "xx\0\0abcdefxxxxxxxxxx");
      assert.equal(fs.read(file, into, 0, 5, 10), 0);
      assert.equal(fs.read(file, into, 0, 5, 1000), 0);
      fs.truncate(file, 6);
      assert.equal(fs.size(file), 6);
      fs.truncate(file, 8);
      assert.equal(read(fs, `${root}/file`), "\0\0\0\0ab\0\0");
      fs.sync(file);
      fs.close(file);
    });

    check("stat and list", (fs, root) => {
      assert.equal(fs.stat(`${root}/none`), undefined);
      assert.equal(fs.list(`${root}/none`), undefined);
      fs.makeDirectory(`${root}/a/b/c`);
      fs.makeDirectory(`${root}/a/b/c`);
      write(fs, `${root}/a/file`, "12345");
      assert.deepEqual(fs.list(`${root}/a`)?.sort(), ["b", "file"]);
      const file = fs.stat(`${root}/a/file`);
      assert.deepEqual([file?.isFile, file?.isDirectory, file?.size], [true, false, 5]);
      const folder = fs.stat(`${root}/a/b`);
      assert.deepEqual([folder?.isFile, folder?.isDirectory], [false, true]);
      assert.notEqual(file?.inode, folder?.inode);
      assert.equal(fs.stat(`${root}/a/file/below`), undefined);
      fails("IO_ERROR", `${root}/a/file`, () => fs.list(`${root}/a/file`));
      fails("IO_ERROR", `${root}/a/file`, () => fs.makeDirectory(`${root}/a/file`));
    });

    check("rename moves a folder with what is in it", (fs, root) => {
      fs.makeDirectory(`${root}/a`);
      write(fs, `${root}/a/file`, "x");
      fs.rename(`${root}/a`, `${root}/b`);
      assert.deepEqual([fs.list(root), read(fs, `${root}/b/file`)], [["b"], "x"]);
    });

    check("rename replaces, and needs the folder", (fs, root) => {
      write(fs, `${root}/one`, "one");
      write(fs, `${root}/two`, "two");
      const { inode } = fs.stat(`${root}/one`) as { inode: number };
      const before = fs.open(`${root}/two`, "read");
      fs.rename(`${root}/one`, `${root}/two`);
      assert.equal(fs.stat(`${root}/one`), undefined);
      assert.equal(read(fs, `${root}/two`), "one");
      assert.equal(fs.stat(`${root}/two`)?.inode, inode);
      const old = Buffer.alloc(3);
      assert.equal(fs.read(before, old, 0, 3, 0), 3);
      assert.equal(old.toString(), "two", "an open file stays what it was");
      fs.close(before);
      fails("NOT_FOUND", `${root}/x`, () => fs.rename(`${root}/none`, `${root}/x`));
      fails("NOT_FOUND", `${root}/none/x`, () => fs.rename(`${root}/two`, `${root}/none/x`));
    });

    check("link gives a second name, which must be free", (fs, root) => {
      write(fs, `${root}/one`, "one");
      fs.link(`${root}/one`, `${root}/two`);
      assert.equal(fs.stat(`${root}/one`)?.inode, fs.stat(`${root}/two`)?.inode);
      fails("IO_ERROR", `${root}/two`, () => fs.link(`${root}/one`, `${root}/two`));
      fails("NOT_FOUND", `${root}/three`, () => fs.link(`${root}/none`, `${root}/three`));
      assert.equal(fs.remove(`${root}/one`), true);
      assert.equal(read(fs, `${root}/two`), "one");
    });

    check("copy makes a file of its own under a free name", (fs, root) => {
      write(fs, `${root}/one`, "one");
      fs.copy(`${root}/one`, `${root}/two`);
      const file = fs.open(`${root}/two`, "update");
      fs.write(file, Buffer.from("X"), 0, 1, 0);
      fs.close(file);
      assert.deepEqual([read(fs, `${root}/one`), read(fs, `${root}/two`)], ["one", "Xne"]);
      fails("IO_ERROR", `${root}/two`, () => fs.copy(`${root}/one`, `${root}/two`));
      fails("NOT_FOUND", `${root}/three`, () => fs.copy(`${root}/none`, `${root}/three`));
      fails("NOT_FOUND", `${root}/none/x`, () => fs.copy(`${root}/one`, `${root}/none/x`));
    });

    check("symbolic links are followed, replaced by rename, and removed without what they lead to", (fs, root) => {
      fs.makeDirectory(`${root}/first`);
      fs.makeDirectory(`${root}/second`);
      write(fs, `${root}/first/file`, "1");
      write(fs, `${root}/second/file`, "2");
      fs.symlink("first", `${root}/link`);
      fails("IO_ERROR", `${root}/link`, () => fs.symlink("second", `${root}/link`));
      fails("NOT_FOUND", `${root}/none/link`, () => fs.symlink("second", `${root}/none/link`));
      assert.equal(read(fs, `${root}/link/file`), "1");
      assert.equal(fs.stat(`${root}/link`)?.isDirectory, true);
      fs.symlink("second", `${root}/link.tmp`);
      fs.rename(`${root}/link.tmp`, `${root}/link`);
      assert.equal(read(fs, `${root}/link/file`), "2");
      assert.deepEqual(fs.list(root)?.sort(), ["first", "link", "second"]);
      fs.symlink("none", `${root}/broken`);
      assert.equal(fs.stat(`${root}/broken`), undefined);
      assert.deepEqual([fs.remove(`${root}/broken`), fs.remove(`${root}/link`)], [true, true]);
      assert.equal(read(fs, `${root}/second/file`), "2");
    });

    check("the path without symbolic links, of what is there", (fs, root) => {
      fs.makeDirectory(`${root}/folder`);
      write(fs, `${root}/folder/file`, "1");
      fs.symlink("folder/file", `${root}/link`);
      fs.symlink(`${root}/link`, `${root}/link to link`);
      fs.symlink("none", `${root}/broken`);
      for (const name of ["folder/file", "link", "link to link"])
        assert.equal(fs.realPath(`${root}/${name}`), `${fs.realPath(root)}/folder/file`);
      for (const name of ["none", "broken"])
        fails("NOT_FOUND", `${root}/${name}`, () => fs.realPath(`${root}/${name}`));
    });

    check("createLike makes a new file", (fs, root) => {
      write(fs, `${root}/one`, "one");
      fs.close(fs.createLike(`${root}/two`, `${root}/one`));
      assert.equal(read(fs, `${root}/two`), "");
      fails("IO_ERROR", `${root}/one`, () => fs.createLike(`${root}/one`, `${root}/two`));
      fails("NOT_FOUND", `${root}/none/x`, () => fs.createLike(`${root}/none/x`, `${root}/one`));
    });

    check("the time of the last change can be set", (fs, root) => {
      write(fs, `${root}/one`, "one");
      fs.setModified(`${root}/one`, 1_700_000_000_123);
      assert.ok(Math.abs((fs.stat(`${root}/one`)?.mtimeMs ?? 0) - 1_700_000_000_123) < 1);
      fails("NOT_FOUND", `${root}/none`, () => fs.setModified(`${root}/none`, 1));
    });

    check("remove and removeDirectory", (fs, root) => {
      write(fs, `${root}/file`, "x");
      fs.makeDirectory(`${root}/full/empty`);
      assert.equal(fs.remove(`${root}/file`), true);
      assert.equal(fs.remove(`${root}/file`), false);
      assert.equal(fs.removeDirectory(`${root}/full`), false);
      assert.equal(fs.removeDirectory(`${root}/full/empty`), true);
      assert.equal(fs.removeDirectory(`${root}/full/empty`), false);
      assert.equal(fs.removeDirectory(`${root}/full`), true);
    });

    check("syncs", async (fs, root) => {
      write(fs, `${root}/a`, "a");
      write(fs, `${root}/b`, "b");
      const files = [fs.open(`${root}/a`, "read"), fs.open(`${root}/b`, "read")];
      await fs.syncAll(files);
      await fs.syncAll([]);
      for (const file of files) fs.close(file);
      fs.syncDirectory(root);
      fails("NOT_FOUND", `${root}/none`, () => fs.syncDirectory(`${root}/none`));
    });
  });
}

fileSystemConformance("NodeFileSystem", () => ({ fs: new NodeFileSystem(), root: temporaryFolder() }));
const inMemory = (): { readonly fs: MemoryFileSystem; readonly root: string } => {
  const fs = new MemoryFileSystem();
  fs.makeDirectory("/root");
  return { fs, root: "/root" };
};
fileSystemConformance("MemoryFileSystem", inMemory);
fileSystemConformance("InterceptedFileSystem", () => {
  const { fs, root } = inMemory();
  return { fs: new InterceptedFileSystem(fs, () => undefined), root };
});

test("after a power cut only what was synced is there", () => {
  const { fs } = inMemory();
  fs.syncDirectory("/");
  const put = (path: string, text: string): number => {
    const file = fs.open(path, "update");
    fs.write(file, Buffer.from(text), 0, text.length, 0);
    return file;
  };
  fs.sync(put("/root/synced", "old"));
  fs.syncDirectory("/root");
  put("/root/synced", "new");
  fs.sync(put("/root/unnamed", "x"));
  put("/root/nothing", "x");
  const { list, text } = ((after: MemoryFileSystem) => {
    const file = after.open("/root/synced", "read");
    const bytes = Buffer.alloc(3);
    after.read(file, bytes, 0, 3, 0);
    return { list: after.list("/root"), text: bytes.toString() };
  })(fs.afterPowerCut());
  assert.deepEqual([list, text], [["synced"], "old"]);
  assert.deepEqual(
    fs
      .afterPowerCut(() => true)
      .list("/root")
      ?.sort(),
    ["nothing", "synced", "unnamed"],
  );
  assert.deepEqual(fs.list("/root")?.sort(), ["nothing", "synced", "unnamed"], "the living one goes on");
});
