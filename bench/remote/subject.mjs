// A remote backend with a daemon of its own package behind it, both in the process that is measured and its child.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { Daemon, remoteBackend } from "./daemons.mjs";

/** Opens the backend of a package against its daemon; it is connected. */
export async function openRemote(subject, directory) {
  const rootDir = path.join(directory, "root");
  mkdirSync(rootDir, { recursive: true });
  const daemon = await Daemon.start(subject, rootDir);
  const connect = async () => {
    const backend = await remoteBackend(subject, rootDir, daemon.port);
    await backend.exists("none");
    return backend;
  };
  const backend = await connect();
  return {
    read: (name) => backend.read(name),
    readBuffer: (name) => backend.read(name, { encoding: "buffer" }),
    write: (name, content) => backend.write(name, content),
    list: (name) => backend.readdirWithStats(name),
    exec: (command) => backend.exec(command),
    connectAnew: async () => (await connect()).destroy(),
    close: async () => {
      await backend.destroy();
      await daemon.stop();
    },
  };
}
