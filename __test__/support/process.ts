// Node processes of their own, which run the compiled package as an application does.

import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { temporaryDirectory } from "./backends.js";
import { distDirectory } from "./needs.js";

const run = promisify(execFile);

/** The compiled package, as a specifier to import. */
export const packageUrl = JSON.stringify(`file://${distDirectory}/index.mjs`);

/** A package of this repository, as a specifier to import from anywhere. */
export const specifier = (name: string): string =>
  JSON.stringify(pathToFileURL(createRequire(import.meta.url).resolve(name)).href);

/** Runs a module in a Node process of its own; gives what it printed, or fails with what it complained of. */
export async function node(source: string, ...flags: string[]): Promise<string> {
  return await started([process.execPath, ...flags], source);
}

/** Likewise, where Node is started by another program. */
export async function started(command: string[], source: string): Promise<string> {
  const directory = await temporaryDirectory();
  const script = join(directory, "script.mjs");
  await writeFile(
    script,
    `import { LocalFilesystemBackend, MemoryBackend } from ${packageUrl};
     const options = {
       rootDir: ${JSON.stringify(join(directory, "root"))},
       stateDir: ${JSON.stringify(join(directory, "state"))},
       isolation: "none",
     };
     ${source}`,
  );
  const [program = "", ...rest] = command;
  const { stdout } = await run(program, [...rest, script], { timeout: 60_000 });
  return stdout.trim();
}
