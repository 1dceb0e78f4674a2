import { join } from "node:path";

const dist = join(import.meta.dirname, "../../dist");

/** What `npm run build` makes: the library, and the command line, which starts faster so than from its sources. */
export const builtLibrary: string = join(dist, "index.js");
export const builtMain: string = join(dist, "cli/main.js");
