import { join } from "node:path";
import { venvPython } from "../support/python.ts";
import { type ActorOptions, ActorProcess } from "./actor-process.ts";

const MAIN = join(import.meta.dirname, "dos-actor.py");

/** An actor that works with the real disk-objectstore: `dos-loose`, `dos-packed`, `dos-pack`, `dos-read`. */
export function dosActor(options: ActorOptions): ActorProcess {
  return new ActorProcess(options, [venvPython, MAIN]);
}
