// The three tool servers as programs: what is started, and by which arguments, to serve a directory over stdio.
import { fileURLToPath } from "node:url";
import { OURS, PEER, REFERENCE } from "./subjects.mjs";

const here = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const installed = (specifier) => fileURLToPath(import.meta.resolve(specifier));

/** The directory in which npm links the published package's `agent-backend`, and nothing of ours. */
export const PEER_COMMANDS = here("node_modules/.bin");

/** Our native binary as it is built in this tree. */
export const BINARY = here("../bin/agent-backend");

const daemon = (rootDir) => ["daemon", "--rootDir", rootDir, "--local-only"];
const peerBin = () => here("node_modules/peer/bin/agent-backend.js");

/**
 * How each server is started on its own.
 * @returns {{ command: string, args: string[] }}
 */
export function serverOf(subject, rootDir) {
  if (subject === OURS) return { command: BINARY, args: daemon(rootDir) };
  if (subject === PEER) return throughNpm(PEER, rootDir);
  if (subject === REFERENCE) {
    const script = installed("@modelcontextprotocol/server-filesystem/dist/index.js");
    return { command: process.execPath, args: [script, rootDir] };
  }
  throw new Error(`${subject} is no tool server`);
}

/** How a package's command is started the way npm and npx start it: its script, by Node. */
export function throughNpm(subject, rootDir) {
  const script = subject === OURS ? here("../bin/agent-backend.js") : peerBin();
  const args = [script, ...daemon(rootDir)];
  return {
    command: process.execPath,
    args: subject === PEER ? [...args, "--isolation", "none"] : args,
  };
}
