// Every TypeScript sample of the seeds runs, as a program of its own on the compiled package: the type checker accepts
// it, and it prints what it should. `seeds/table.ts` says what may stand in for what.

import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { describe, expect, test } from "vitest";
import * as entry from "../ts/index.js";
import { type Entry, KINDS } from "./seeds/entry.js";
import { type Sample, samplesOf } from "./seeds/extract.js";
import { TABLE, WORKSPACE } from "./seeds/table.js";
import { temporaryDirectory } from "./support/backends.js";
import { startDaemon } from "./support/daemon.js";
import { missing, needs, seedsDirectory } from "./support/needs.js";

const repository = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

async function allSamples(): Promise<Sample[]> {
  const names = (await readdir(seedsDirectory)).filter((name) => name.endsWith(".txt")).sort();
  const texts = names.map(async (name) =>
    samplesOf(name.slice(0, 3), await readFile(join(seedsDirectory, name), "utf8")),
  );
  return (await Promise.all(texts)).flat();
}

const samples = missing("seeds") === undefined ? await allSamples() : [];
const runnable = TABLE.filter(({ waits }) => waits === undefined);

/** The whole program of a sample. */
function programOf({ id, substitutions = [], before = "", after = "" }: Entry): string {
  let code = samples.find((sample) => sample.id === id)?.code ?? "";
  for (const { pattern, replacement } of substitutions) {
    if (code.search(pattern) < 0)
      throw new Error(`${id}: nothing in the sample matches ${pattern}`);
    code = code.replace(pattern, replacement);
  }
  code = code.replace(WORKSPACE.pattern, WORKSPACE.replacement);
  // A name of the package that is used without being imported is a missing declaration.
  const imported = [...code.matchAll(/import (?:type )?\{([^}]*)\}/g)]
    .map(([, names]) => names)
    .join();
  const whole = before + code + after;
  const undeclared = Object.keys(entry).filter(
    (name) =>
      new RegExp(`\\b${name}\\b`).test(whole) && !new RegExp(`\\b${name}\\b`).test(imported),
  );
  return `import { ${undeclared.join(", ")} } from "agent-backend";
${code.match(/^import [^;]*? from '[^']*'$/gms)?.join("\n") ?? ""}
const ROOT: string = process.env["ROOT"] ?? "";
const DAEMON: { port: number; sshPort: number; token: string } = JSON.parse(process.env["DAEMON"] ?? "{}");
${before}
${code.replace(/^import [^;]*? from '[^']*'$/gms, "")}
;${after}
export {};
`;
}

/** A directory in which `agent-backend` is this package, compiled, beside the packages that samples import. */
async function application(): Promise<string> {
  const directory = await temporaryDirectory();
  await mkdir(join(directory, "node_modules/@ai-sdk"), { recursive: true });
  await symlink(repository, join(directory, "node_modules/agent-backend"));
  for (const name of ["ai", "@ai-sdk/mcp"]) {
    await symlink(join(repository, "node_modules", name), join(directory, "node_modules", name));
  }
  return directory;
}

/** The daemon that a sample is run beside: another process, which serves its workspace. */
async function daemonOf({ daemon }: Entry, rootDir: string): Promise<object> {
  if (daemon === undefined) return {};
  const { sshUsers } = daemon;
  const ssh = ["--conventional-ssh", "--ssh-port", "0", "--ssh-users", sshUsers ?? ""];
  const { port, sshPort, token } = await startDaemon({
    rootDir,
    flags: sshUsers === undefined ? [] : ssh,
  });
  return { port, sshPort, token };
}

describe("the samples of the seeds", () => {
  needs("seeds")("are all in the table, in order", () => {
    expect(samples.map(({ id }) => id)).toEqual(TABLE.map(({ id }) => id));
  });

  test("only substitutions of the allowed kinds are in the table", () => {
    for (const { substitutions = [] } of TABLE) {
      for (const { kind } of substitutions) expect(KINDS).toContain(kind);
    }
  });

  needs("seeds", "dist")(
    "are accepted by the type checker",
    async () => {
      const directory = await application();
      const files = await Promise.all(
        runnable.map(async (sample, index) => {
          const name = `sample${index}.mts`;
          await writeFile(join(directory, name), `// ${sample.id}\n${programOf(sample)}`);
          return name;
        }),
      );
      const compilerOptions = {
        target: "es2022",
        module: "nodenext",
        strict: true,
        noEmit: true,
        // Those of the AI SDK lack a package of types; ours are checked by types.test.ts.
        skipLibCheck: true,
        types: ["node"],
        typeRoots: [join(repository, "node_modules/@types")],
      };
      await writeFile(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
      const compiler = join(repository, "node_modules/typescript/bin/tsc");
      const outcome = await run(process.execPath, [compiler, "-p", directory]).catch(
        (error: { stdout: string }) => error,
      );
      expect(outcome.stdout).toBe("");
    },
    120_000,
  );

  for (const sample of runnable) {
    const needed = sample.daemon === undefined ? [] : (["daemon"] as const);
    needs(
      "seeds",
      "dist",
      "git",
      ...needed,
    )(
      `${sample.id} runs: ${sample.what}`,
      async () => {
        const directory = await application();
        const { code } = await transform(programOf(sample), { loader: "ts", format: "esm" });
        await writeFile(join(directory, "sample.mjs"), code);
        const rootDir = join(directory, "workspace");
        const { stdout } = await run(process.execPath, [join(directory, "sample.mjs")], {
          env: {
            ...process.env,
            ROOT: rootDir,
            DAEMON: JSON.stringify(await daemonOf(sample, rootDir)),
            AGENT_BACKEND_STATE_DIR: join(directory, "state"),
          },
          timeout: 60_000,
        });
        for (const expected of sample.prints ?? []) {
          if (typeof expected === "string") expect(stdout).toContain(expected);
          else expect(stdout).toMatch(expected);
        }
      },
      60_000,
    );
  }
});
