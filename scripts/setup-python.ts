// Installs what test/support/requirements.txt pins into .cache/venv, once. Where that cannot be done the tests that
// need it skip themselves; on CI a Python that is there but cannot install is a failure.
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import { python, requirementsFile, venvFolder, venvMarker, venvPython } from "../test/support/python.ts";

const TIMEOUT_MS = 300_000;

function run(program: string, args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(program, args, { encoding: "utf8", timeout: TIMEOUT_MS });
}

function outputOf(result: SpawnSyncReturns<string>): string {
  return [result.stdout, result.stderr, result.error?.message].filter(Boolean).join("\n").trimEnd();
}

/** Makes the folder; returns why it could not. */
function install(): string | undefined {
  rmSync(venvFolder, { recursive: true, force: true });
  const venv = run("python3", ["-m", "venv", venvFolder]);
  if (venv.status !== 0) return `python3 -m venv failed:\n${outputOf(venv)}`;
  const options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"];
  const pip = run(venvPython, ["-m", "pip", "install", ...options, "-r", requirementsFile]);
  if (pip.status !== 0) return `pip install failed:\n${outputOf(pip)}`;
  copyFileSync(requirementsFile, venvMarker);
  return undefined;
}

if (python === undefined) {
  const version = run("python3", ["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"]);
  if (version.status !== 0) {
    console.log(
      "No Python 3.10 or newer with its venv module: the tests that need the Python original will be skipped.",
    );
  } else {
    const problem = install();
    if (problem !== undefined) {
      console.error(`${problem}\nThe tests that need the Python original will be skipped.`);
      if (process.env["CI"]) process.exitCode = 1;
    } else {
      console.log("The Python original is installed in .cache/venv.");
    }
  }
}
