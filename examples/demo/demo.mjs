// The main job, on a real project tree: an application server opens a backend, gives each of two tenants a scope, and
// an agent of each works there with files, search, edits and commands. Then it tries to leave.
//
// Run it with `make demo`.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { LocalFilesystemBackend, MemoryBackend } from "agent-backend";
import { analyse } from "./analyst.mjs";
import { setBounds } from "./bounds.mjs";
import { develop } from "./developer.mjs";
import { chapter, check, conclude, refused, say } from "./narrator.mjs";
import { tryToLeave } from "./walls.mjs";

const rootDir = await mkdtemp(path.join(tmpdir(), "agent-backend-demo-"));
const warnings = [];
process.on("warning", (warning) => warnings.push(warning.message));

try {
  chapter("A backend, and a scope for each tenant");
  const backend = new LocalFilesystemBackend({ rootDir });
  await backend.connect();
  const ada = backend.scope("tenants/ada", {
    env: {
      GIT_AUTHOR_NAME: "Ada",
      GIT_AUTHOR_EMAIL: "ada@example.com",
      GIT_COMMITTER_NAME: "Ada",
      GIT_COMMITTER_EMAIL: "ada@example.com",
    },
  });
  const ben = backend.scope("tenants/ben");
  say(`isolation of commands: ${backend.isolation}`);
  check("the backend is connected", backend.status === "connected");
  check(
    "both scopes are listed",
    (await backend.listActiveScopes()).join() === "tenants/ada,tenants/ben",
  );
  check("a scope's root is a full path", ada.rootDir === path.join(rootDir, "tenants/ada"));

  await develop(ada);
  await analyse(ben);
  await tryToLeave(backend, ada, ben);
  await setBounds(rootDir);

  chapter("State of an agent, in memory");
  const memory = new MemoryBackend();
  await memory.write("session/ada/step", JSON.stringify({ step: 2 }));
  await memory.write("session/ben/step", JSON.stringify({ step: 7 }));
  check("values are read back", JSON.parse(await memory.read("session/ben/step")).step === 7);
  check("keys are listed by prefix", (await memory.list("session/")).length === 2);
  await refused("a command in memory", "NOT_IMPLEMENTED", () => memory.exec("true"));
  await memory.destroy();

  chapter("The end");
  await ben.destroy();
  check("destroying a scope leaves its parent", backend.status === "connected");
  await refused("a read in the destroyed scope", "DESTROYED", () => ben.read("sales.csv"));
  await backend.destroy();
  await refused("a read in a scope of the destroyed backend", "DESTROYED", () =>
    ada.read("README.md"),
  );
  for (const warning of warnings) say(`the backend warned: ${warning}`);
} finally {
  await rm(rootDir, { recursive: true, force: true });
}
conclude();
