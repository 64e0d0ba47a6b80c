// Directories on the file systems that matter: a disk with ext4, memory (tmpfs), and overlayfs, which is what every
// container's root is. What this machine does not have is named, and its rows are left out by name.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";

const typeOf = (directory) => {
  const name = execFileSync("stat", ["-f", "-c", "%T", directory], { encoding: "utf8" }).trim();
  return name === "ext2/ext3" ? "ext4" : name;
};

/**
 * @param {string} disk a directory on the disk of the repository
 * @returns {{ places: Map<string, string>, missing: string[], remove: () => void }} a directory for each file system
 */
export function fileSystems(disk) {
  mkdirSync(disk, { recursive: true });
  const onDisk = mkdtempSync(path.join(disk, "disk-"));
  const places = new Map();
  const missing = [];
  const undo = [() => rmSync(onDisk, { recursive: true, force: true })];

  if (typeOf(disk) === "ext4") places.set("ext4", onDisk);
  else missing.push(`ext4: the repository is on ${typeOf(disk)}`);

  try {
    const inMemory = mkdtempSync("/dev/shm/agent-backend-bench-");
    undo.push(() => rmSync(inMemory, { recursive: true, force: true }));
    if (typeOf(inMemory) === "tmpfs") places.set("tmpfs", inMemory);
    else missing.push("tmpfs: /dev/shm is something else");
  } catch (error) {
    missing.push(`tmpfs: ${error.message}`);
  }

  try {
    const [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map((name) => {
      const directory = path.join(onDisk, "overlay", name);
      mkdirSync(directory, { recursive: true });
      return directory;
    });
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    execFileSync("mount", ["-t", "overlay", "overlay", "-o", options, merged], { stdio: "pipe" });
    undo.push(() => execFileSync("umount", [merged]));
    places.set("overlayfs", merged);
  } catch (error) {
    missing.push(`overlayfs: it cannot be mounted (${String(error.stderr ?? error).trim()})`);
  }

  const remove = () => {
    while (undo.length > 0) undo.pop()();
  };
  return { places, missing, remove };
}
