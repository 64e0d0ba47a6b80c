// What an MCP client costs: until it can be used, and for as long as it stays.
import { performance } from "node:perf_hooks";
import { mebibytes } from "./stdio.mjs";

/** Milliseconds until a new client is connected. That it is, and its end, are not in the figure. */
export async function timeToReady(clients) {
  globalThis.gc();
  const started = performance.now();
  const client = await clients.connect();
  const took = performance.now() - started;
  await client.ping();
  await client.close();
  return took;
}

/** A client that has done what every agent's does first, so that what it keeps for that is there. */
async function used(clients) {
  const client = await clients.connect();
  await client.listTools();
  await client.callTool({ name: "list_directory", arguments: { path: "." } });
  return client;
}

async function resident() {
  for (let time = 0; time < 3; time += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage.rss() / (1 << 20);
}

/**
 * What each of `count` open clients adds, in MiB: to the resident memory of this process, and with it the proportional
 * share of the process that a client starts for itself.
 */
export async function memoryPerClient(clients, count) {
  // The first brings code and tables that all of them share.
  await (await used(clients)).close();
  const before = await resident();
  const open = [];
  for (let at = 0; at < count; at += 1) open.push(await used(clients));
  let added = (await resident()) - before;
  for (const { transport } of open) {
    if (transport?.pid) added += mebibytes(transport.pid, "smaps_rollup", "Pss");
  }
  await Promise.all(open.map((client) => client.close()));
  return added / count;
}
