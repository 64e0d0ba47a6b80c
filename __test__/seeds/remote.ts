// The samples that reach a remote host: they run beside a daemon.

import type { Entry, Substitution } from "./entry.js";

/** The hosts of the samples are one daemon here, on a port that nobody else has. */
export const atDaemon: Substitution = {
  kind: "host",
  pattern: /host: '[\w.-]+'/g,
  replacement: "host: '127.0.0.1', port: DAEMON.port",
};

export const atSshServer: Substitution = {
  ...atDaemon,
  replacement: "host: '127.0.0.1', port: DAEMON.sshPort",
};

export const sshAuth: Substitution = {
  kind: "credentials",
  pattern: /sshAuth: \{ \.\.\. \}/g,
  replacement:
    "sshAuth: { type: 'password', credentials: { username: 'agent', password: 'secure-pass' } }",
};

export const AGENT = { sshUsers: "agent:secure-pass" };

/** What the samples of a remote host find there: `python` may be called `python3`, so that the script is both. */
const script = `
  const here = new LocalFilesystemBackend({ rootDir: ROOT });
  await here.write("script.py", "import os\\nopen('ran', 'w').write(os.getcwd())");`;

export const remote: Entry = {
  id: "",
  what: "remote",
  daemon: AGENT,
  before: script,
  substitutions: [atSshServer],
  after: `console.log(backend.type, await here.read("ran") === ROOT); await backend.destroy();`,
  prints: ["remote-filesystem true"],
};

export const everywhere: Entry = {
  id: "",
  what: "one function for development and production",
  daemon: {},
  before: "const environment = { isDevelopment: false };",
  substitutions: [
    {
      kind: "missing return",
      pattern: /new RemoteFilesystemBackend/,
      replacement: "return new RemoteFilesystemBackend",
    },
    atDaemon,
  ],
  after: `
  const output = await new LocalFilesystemBackend({ rootDir: ROOT }).read("where");
  console.log(output.trim() === ROOT);`,
  prints: ["true"],
};

export const call: Substitution = {
  kind: "...",
  pattern: /exec\(\.\.\.\)/,
  replacement: "exec('pwd > where')",
};
