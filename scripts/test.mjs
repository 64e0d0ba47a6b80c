// Runs every test and adds up: the Rust suites, the JavaScript suites, the type check. Its last line is the sum,
// `N passed, N failed[, N skipped]`.
//
// A test that cannot run here (no bubblewrap, not root, …) says so by name: in Rust by `skip` (tests/support), which
// lists it in a file; in vitest it is a skipped test. With CI=true a skip is a failure, because
// there everything is meant to be present. Only a device that the machine's kernel or container lacks, which no set-up
// could give it (`lacks_device`), is told and is no failure.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { hostTarget } from "./host-target.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), "agent-backend-test-"));
const skips = path.join(scratch, "skips");
const report = path.join(scratch, "vitest.json");

/** Runs a program with its output shown, and gives back exit status and output. */
function run(program, args, env = {}) {
  console.log(`\n── ${program} ${args.join(" ")}`);
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TEST_SKIPS: skips, ...env },
    });
    let output = "";
    for (const [from, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      from.setEncoding("utf8");
      from.on("data", (text) => {
        output += text;
        to.write(text);
      });
    }
    child.on("error", (error) => resolve({ ok: false, output: String(error) }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

const readLines = (file) => {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
};

async function rust() {
  const target = ["--release", "--target", hostTarget()];
  const { ok, output } = await run("cargo", ["test", "--workspace", "--no-fail-fast", ...target]);
  const listed = readLines(skips);
  const isAbsent = (line) => line.startsWith("no device: ");
  const skipped = listed.filter((line) => !isAbsent(line));
  const absent = listed.filter(isAbsent);
  const sum = { name: "Rust", passed: 0, failed: 0, skipped, absent, later: 0 };
  for (const match of output.matchAll(
    /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    sum.passed += Number(match[1]);
    sum.failed += Number(match[2]);
    sum.later += Number(match[3]);
  }
  sum.passed -= listed.length;
  if (!ok && sum.failed === 0) sum.failed = 1;
  return sum;
}

async function javascript() {
  const { ok } = await run("node_modules/.bin/vitest", ["run"], { TEST_REPORT: report });
  const sum = { name: "JavaScript", passed: 0, failed: 0, skipped: [], later: 0 };
  try {
    const { testResults } = JSON.parse(readFileSync(report, "utf8"));
    for (const { name, status, assertionResults } of testResults) {
      for (const test of assertionResults) {
        if (test.status === "passed") sum.passed += 1;
        else if (test.status === "failed") sum.failed += 1;
        else sum.skipped.push(`${path.relative(root, name)}: ${test.fullName}`);
      }
      // A file that could not be loaded has no tests to count.
      if (status === "failed" && assertionResults.length === 0) sum.failed += 1;
    }
  } catch (error) {
    console.error(`vitest left no report: ${error.message}`);
  }
  if (!ok && sum.failed === 0) sum.failed = 1;
  return sum;
}

async function types() {
  const { ok } = await run("node_modules/.bin/tsc", ["--noEmit"]);
  return { name: "Types", passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: [], later: 0 };
}

const sums = [await rust(), await javascript(), await types()];
rmSync(scratch, { recursive: true, force: true });

console.log("\n── Summary");
for (const { name, passed, failed, skipped, absent = [], later } of sums) {
  const long = later > 0 ? `, ${later} that others start or that only measure` : "";
  console.log(`${name}: ${passed} passed, ${failed} failed, ${skipped.length} skipped${long}`);
  for (const line of skipped) console.log(`  skipped: ${line}`);
  for (const line of absent) console.log(`  not on this machine: ${line}`);
}
const total = (key) => sums.reduce((sum, one) => sum + one[key], 0);
const skipped = sums.reduce((sum, one) => sum + one.skipped.length, 0);
const strict = process.env["CI"] === "true" && skipped > 0;
if (strict) console.log("CI=true: a skipped test counts as a failure");
const failed = total("failed") + (strict ? skipped : 0);
const tail = skipped > 0 && !strict ? `, ${skipped} skipped` : "";
process.exitCode = failed > 0 ? 1 : 0;
console.log(`${total("passed")} passed, ${failed} failed${tail}`);
