// Compiles ts/ into dist/: one ES module and one CommonJS module for each entry, and the declarations of all files.
//
// Each entry is one file because importing it is then one read: an application pays for our start-up at each of its
// own. The package's own scope is CommonJS, since the generated addon loader (index.js) is, and only then can both
// kinds of module load it on every Node from 20.0 on.
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const entries = ["index", "adapters/index"];

/** Leaves the addon's loader outside, at the path that is right for where the bundle lies. */
const addonOutside = (entry) => ({
  name: "addon-outside",
  setup({ onResolve }) {
    const up = entry.includes("/") ? "../../index.js" : "../index.js";
    onResolve({ filter: /^\.\.\/index\.js$/ }, ({ importer }) =>
      importer.endsWith("/ts/native.ts") ? { path: up, external: true } : undefined,
    );
  },
});

/** @param {string} entry below ts/, without extension */
async function bundle(entry) {
  const common = {
    absWorkingDir: root,
    entryPoints: [`ts/${entry}.ts`],
    bundle: true,
    platform: "node",
    target: "node20",
    packages: "external",
    legalComments: "none",
    logLevel: "warning",
    plugins: [addonOutside(entry)],
  };
  await Promise.all([
    build({ ...common, format: "esm", outfile: `dist/${entry}.mjs` }),
    build({
      ...common,
      format: "cjs",
      outfile: `dist/${entry}.js`,
      // import.meta does not exist in CommonJS; what the sources ask of it does.
      define: { "import.meta.url": "importMetaUrl" },
      banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
    }),
  ]);
  // Declarations of a CommonJS module serve an ES module importer as they are; this says so to the compiler.
  const name = entry.split("/").at(-1);
  writeFileSync(`${root}/dist/${entry}.d.mts`, `export * from "./${name}.js";\n`);
}

rmSync(`${root}/dist`, { recursive: true, force: true });
execFileSync("tsc", ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
await Promise.all(entries.map(bundle));
