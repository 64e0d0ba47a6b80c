// Makes the npm tarballs of this platform: the package itself and the platform package with the native parts. Both are
// assembled in a directory of their own, so that packing changes nothing in the source tree.
//
// Usage: node scripts/pack.mjs [directory for the tarballs, default target/npm]
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const destination = path.resolve(process.argv[2] ?? path.join(root, "target/npm"));
const readJson = (file) => JSON.parse(readFileSync(file, "utf8"));
const writeJson = (file, value) => writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);

const platforms = readdirSync(path.join(root, "npm")).filter((name) =>
  existsSync(path.join(root, "npm", name, "package.json")),
);

/** The platform whose addon has been built here. */
function builtPlatform() {
  const built = platforms.find((name) => existsSync(path.join(root, `agent-backend.${name}.node`)));
  if (built === undefined) {
    throw new Error(`no addon of ${platforms.join(" or ")} is here; run make build first`);
  }
  return built;
}

/** Puts the main package together in `stage`. */
function stageMain(stage) {
  const manifest = readJson(path.join(root, "package.json"));
  delete manifest.devDependencies;
  delete manifest.scripts;
  delete manifest.napi;
  // Named only here: in the source tree npm would look for packages that are not published yet.
  manifest.optionalDependencies = Object.fromEntries(
    platforms.map((name) => [`agent-backend-${name}`, manifest.version]),
  );
  writeJson(path.join(stage, "package.json"), manifest);
  for (const entry of [...manifest.files, "README.md", "LICENSE", "CHANGELOG.md"]) {
    cpSync(path.join(root, entry), path.join(stage, entry), { recursive: true });
  }
}

/** Puts the platform's package together in `stage`: its addon and the command, without debug sections. */
function stagePlatform(stage, platform) {
  cpSync(path.join(root, "npm", platform), stage, { recursive: true });
  const addon = `agent-backend.${platform}.node`;
  copyFileSync(path.join(root, addon), path.join(stage, addon));
  copyFileSync(path.join(root, "bin/agent-backend"), path.join(stage, "agent-backend"));
  for (const file of [addon, "agent-backend"]) {
    execFileSync("strip", ["--strip-unneeded", path.join(stage, file)]);
  }
  copyFileSync(path.join(root, "LICENSE"), path.join(stage, "LICENSE"));
}

function pack(fill, ...rest) {
  const stage = mkdtempSync(path.join(tmpdir(), "agent-backend-pack-"));
  try {
    fill(stage, ...rest);
    const arguments_ = ["pack", stage, "--pack-destination", destination, "--json"];
    const [packed] = JSON.parse(
      execFileSync("npm", arguments_, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }),
    );
    const size = (packed.size / 1e6).toFixed(2);
    console.log(`${path.join(destination, packed.filename)} (${size} MB)`);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

const platform = builtPlatform();
mkdirSync(destination, { recursive: true });
for (const file of readdirSync(destination).filter((name) => name.endsWith(".tgz"))) {
  rmSync(path.join(destination, file));
}
pack(stageMain);
pack(stagePlatform, platform);
