// Builds what is native for this machine: the Node addon, with index.js and index.d.ts at the root made from its
// bindings, and the command, beside its npm shim in bin/.
// `--profile dist` builds what is published; the default profile, release, is shared with the tests.
import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { hostTarget } from "./host-target.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = hostTarget();
const profile = process.argv.includes("--profile")
  ? process.argv[process.argv.indexOf("--profile") + 1]
  : "release";

const run = (program, args, stdio = "inherit") =>
  execFileSync(program, args, { cwd: root, stdio, encoding: "utf8", maxBuffer: 64 << 20 });

run(
  path.join(root, "node_modules/.bin/napi"),
  [
    "build",
    ["--manifest-path", "bindings/node/Cargo.toml"],
    ["--package-json-path", "package.json"],
    ["--target", target],
    ["--profile", profile],
    ["--output-dir", "."],
    "--platform",
    ["--js", "index.js"],
    ["--dts", "index.d.ts"],
    "--no-const-enum",
  ].flat(),
);

// With the whole workspace selected, dependencies get the features that the addon and the tests build them with; without,
// cargo would compile the core a second time.
const binary = ["--workspace", "--bin", "agent-backend"];
run("cargo", ["build", "--profile", profile, "--target", target, ...binary]);
const metadata = JSON.parse(
  run("cargo", ["metadata", "--no-deps", "--format-version", "1"], ["ignore", "pipe", "inherit"]),
);
const executable = process.platform === "win32" ? "agent-backend.exe" : "agent-backend";
const built = path.join(metadata.target_directory, target, profile, executable);
const beside = path.join(root, "bin", executable);
// A running copy cannot be overwritten, only replaced.
rmSync(beside, { force: true });
copyFileSync(built, beside);
