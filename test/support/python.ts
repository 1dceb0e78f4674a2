import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const project = join(import.meta.dirname, "../..");

/** What `scripts/setup-python.ts` installs. */
export const requirementsFile: string = join(project, "test/support/requirements.txt");
export const venvFolder: string = join(project, ".cache/venv");
/** Holds the text of the requirements that the folder was made for; written last. */
export const venvMarker: string = join(venvFolder, "requirements.installed");

/** The interpreter in `venvFolder`. */
export const venvPython: string = join(venvFolder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");

function isReady(): boolean {
  if (!existsSync(venvPython) || !existsSync(venvMarker)) return false;
  return readFileSync(venvMarker, "utf8") === readFileSync(requirementsFile, "utf8");
}

/** The Python that has disk-objectstore; undefined where `npm run setup:python` found no Python to make it with. */
export const python: string | undefined = isReady() ? venvPython : undefined;

/** For the `skip` option of tests that run Python: false, or why they are skipped. */
export const skipWithoutPython: string | false =
  python === undefined ? "needs Python 3.10 or newer with its venv module, and npm run setup:python" : false;
