// The import direction of docs/architecture.md, lowest layer first. Layers on one line do not import each other.
const leaves = "^src/(?!index\\.ts$|testing\\.ts$)[^/]+\\.ts$";
const folder = (name) => `^src/${name}/`;
const layers = [
  [leaves],
  [folder("key")],
  [folder("format")],
  [folder("fs"), folder("codec"), folder("pack-index")],
  [folder("store")],
  [folder("maintenance")],
  [folder("container")],
  ["^src/index\\.ts$"],
];

const direction = layers.flatMap((row, level) =>
  row.map((layer) => ({
    name: "import-direction",
    comment: "Imports go one way: see .dependency-cruiser.mjs and docs/architecture.md.",
    severity: "error",
    from: { path: layer },
    to: { path: "^src/", pathNot: [layer, ...layers.slice(0, level).flat()] },
  })),
);

/** Only files that match `from` import what matches `to`. */
const only = (name, from, to) => ({ name, severity: "error", from: { path: "^src/", pathNot: from }, to });
const builtin = (...names) => ({ dependencyTypes: ["core"], path: `^(node:)?(${names.join("|")})$` });

// biome-ignore lint/style/noDefaultExport: dependency-cruiser reads its configuration from the default export
export default {
  forbidden: [
    ...direction,
    // The command line is a program of its own: it walks the user's folders, but knows the store by the public entry only.
    {
      name: "cli-uses-public-entry",
      severity: "error",
      from: { path: "^src/cli/" },
      to: { path: "^src/", pathNot: ["^src/cli/", "^src/index\\.ts$"] },
    },
    // The conformance suites may use every layer; nothing in src/ uses them.
    only("testing-is-for-tests", "^src/testing(\\.ts$|/)", { path: "^src/testing(\\.ts$|/)" }),
    only("fs-only-in-fs", ["^src/fs/", "^src/cli/"], builtin("fs", "fs/promises")),
    only("zlib-only-in-codec", ["^src/codec/", "^src/format/crc32\\.ts$"], builtin("zlib")),
    only("packages-only-in-cli", ["^src/cli/"], { path: "node_modules/", pathNot: "node_modules/(@types|koffi)/" }),
    only("koffi-only-in-one-file", ["^src/native\\.ts$"], { path: "node_modules/koffi/" }),
    only("sqlite-only-in-one-file", ["^src/sqlite\\.ts$"], builtin("sqlite")),
    {
      name: "no-unknown-folder",
      severity: "error",
      from: {},
      to: { path: "^src/", pathNot: [...layers.flat(), "^src/cli/", "^src/testing(\\.ts$|/)"] },
    },
    { name: "no-unresolved", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "no-dev-dependency",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
  },
};
