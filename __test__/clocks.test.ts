// Somebody sets the wall clock of an application by days, forwards and backwards: connection, calls, commands and tools go
// on, and time limits stay what they are. `tests/connect/clocks.rs` does the same to the daemon.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { startDaemon } from "./support/daemon.js";
import { faketimeLibrary, needs } from "./support/needs.js";
import { packageUrl, started } from "./support/process.js";
import { temporaryDirectory } from "./support/temporary.js";

const test = needs("daemon", "dist", "faketime");

test("an application works on while its clock jumps by days", async () => {
  const daemon = await startDaemon();
  const clock = join(await temporaryDirectory(), "clock");
  await writeFile(clock, "+0\n");
  const environment = [
    `LD_PRELOAD=${faketimeLibrary()}`,
    `FAKETIME_TIMESTAMP_FILE=${clock}`,
    "FAKETIME_NO_CACHE=1",
    "DONT_FAKE_MONOTONIC=1",
    "NO_FAKE_STAT=1",
  ];
  const output = await started(
    ["/usr/bin/env", ...environment, process.execPath],
    `
    import { renameSync, writeFileSync } from "node:fs";
    const { RemoteFilesystemBackend } = await import(${packageUrl});
    const config = ${JSON.stringify(daemon.config({ keepaliveIntervalMs: 100 }))};
    const clock = ${JSON.stringify(clock)};
    const jump = (offset) => {
      writeFileSync(clock + ".new", offset + "\\n");
      renameSync(clock + ".new", clock);
    };
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const backend = new RemoteFilesystemBackend(config);
    const steps = [];
    backend.onStatusChange(({ to }) => steps.push(to));
    await backend.write("a", "x");
    const mcp = await backend.getMCPClient();
    const exec = (command, options) =>
      mcp.callTool({ name: "exec", arguments: { command } }, undefined, options);
    const dates = [];
    const results = [];
    const limits = [];
    for (const offset of ["+5d", "-9d", "+400d", "+0"]) {
      const running = backend.exec("sleep 0.3; echo done", { timeoutMs: 60_000 });
      const tool = exec("sleep 0.3; echo tool", { timeout: 60_000 });
      const began = performance.now();
      const late = exec("sleep 30", { timeout: 800 }).catch(({ code }) => code);
      const ended = late.then((code) => limits.push([code, performance.now() - began]));
      await pause(100);
      jump(offset);
      dates.push(new Date().toISOString().slice(0, 10));
      const said = (await tool).content.map(({ text }) => text).join("");
      results.push([await running, said.trim(), await backend.read("a")].join(" "));
      await ended;
      // Some keepalives.
      await pause(400);
    }
    await backend.destroy();
    console.log(JSON.stringify({ dates, results, limits, steps }));
  `,
  );
  const { dates, results, limits, steps } = JSON.parse(output);
  expect(new Set(dates).size, "the clock did not jump").toBe(4);
  expect(new Set(results)).toEqual(new Set(["done tool x"]));
  expect(steps).toEqual(["connecting", "connected", "destroyed"]);
  for (const [code, took] of limits) {
    expect(code).toBe("TIMEOUT");
    expect(took).toBeGreaterThan(700);
    expect(took).toBeLessThan(20_000);
  }
}, 120_000);
