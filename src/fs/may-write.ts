import fs from "node:fs";

/** Whether this process may write a file, by its permissions; true also where nobody can write anything. */
export function mayWrite(path: string): boolean {
  return !["EACCES", "EPERM"].includes(refusalOf(path));
}

export function isOnReadOnly(path: string): boolean {
  return refusalOf(path) === "EROFS";
}

function refusalOf(path: string): string {
  try {
    fs.accessSync(path, fs.constants.W_OK);
    return "";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "";
  }
}
