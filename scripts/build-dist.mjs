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
const entries = ["index", "adapters/index", "mcp/index"];

/**
 * Leaves the addon's loader outside, at the path that is right for where the bundle lies. An ES module gets it through
 * `require`: for an `import` of a CommonJS file Node first starts its lexer of such files, which takes 30 ms.
 */
const addonOutside = (entry, format) => ({
  name: "addon-outside",
  setup({ onResolve, onLoad }) {
    const up = entry.includes("/") ? "../../index.js" : "../index.js";
    onResolve({ filter: /^\.\.\/index\.js$/ }, ({ importer }) => {
      if (!importer.endsWith("/ts/native.ts")) return undefined;
      return format === "esm"
        ? { path: up, namespace: "required-addon" }
        : { path: up, external: true };
    });
    onLoad({ filter: /.*/, namespace: "required-addon" }, ({ path }) => ({
      contents: `import { createRequire } from "node:module";
export const { CancelToken, nativeAddon } = createRequire(import.meta.url)(${JSON.stringify(path)});`,
    }));
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
  };
  await Promise.all([
    build({
      ...common,
      format: "esm",
      outfile: `dist/${entry}.mjs`,
      plugins: [addonOutside(entry, "esm")],
    }),
    build({
      ...common,
      format: "cjs",
      outfile: `dist/${entry}.js`,
      plugins: [addonOutside(entry, "cjs")],
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
