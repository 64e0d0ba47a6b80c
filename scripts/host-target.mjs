// The target triple of this machine, asked of rustc. Everything is built with `--target <triple>`, the addon and the
// tests alike: cargo keeps artifacts of a named target in a directory of their own, so only then are they shared.
import { execFileSync } from "node:child_process";

/** @returns {string} for instance `x86_64-unknown-linux-gnu` */
export function hostTarget() {
  const version = execFileSync("rustc", ["-vV"], { encoding: "utf8" });
  const host = /^host: (.+)$/m.exec(version)?.[1];
  if (host === undefined) throw new Error("rustc -vV does not name its host");
  return host;
}

if (import.meta.url === `file://${process.argv[1]}`) console.log(hostTarget());
