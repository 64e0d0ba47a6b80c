// What an operator can set for tenants: limits, quotas, the network, and who may do what with which path.
import path from "node:path";
import { LocalFilesystemBackend } from "agent-backend";
import { chapter, check, leftOut, refused, say } from "./narrator.mjs";

export async function setBounds(rootDir) {
  const backend = new LocalFilesystemBackend({
    rootDir: path.join(rootDir, "bounded"),
    limits: { cpuSeconds: 0.5, fileSizeBytes: 1_000_000 },
    accessPolicy: {
      rules: [
        { match: ".env", allow: "none" },
        { match: "contracts/", allow: "read" },
      ],
      onRequest: ({ operation, path: at }) =>
        operation === "rm" && at.endsWith("ledger.csv")
          ? { allow: false, reason: "the books are kept" }
          : true,
    },
  });
  const tenant = backend.scope("tenants/cleo", { maxBytes: 4_000_000 });
  try {
    await files(tenant);
    await commands(backend, tenant);
  } finally {
    await backend.destroy();
  }
}

async function files(tenant) {
  chapter("Bounds that an operator sets: files");
  await tenant.write("ledger.csv", "1,2\n");
  await refused("writing .env", "POLICY_DENIED", () => tenant.write(".env", "KEY=1"));
  await refused("changing a contract", "POLICY_DENIED", () => tenant.write("contracts/a", "x"));
  await refused("removing the ledger", "POLICY_DENIED", () => tenant.rm("ledger.csv"));
  await refused("a file beyond the quota", "QUOTA_EXCEEDED", () =>
    tenant.write("large.bin", Buffer.alloc(8_000_000, 1)),
  );
  check("what was there is there", (await tenant.read("ledger.csv")) === "1,2\n");
}

async function commands(backend, tenant) {
  chapter("Bounds that an operator sets: commands");
  if (backend.isolation !== "bwrap") {
    leftOut("commands under rules", `isolation is ${backend.isolation}; only bwrap can hide paths`);
    return;
  }
  const { by, reason } = backend.limitEnforcement.cpuSeconds;
  say(`CPU time is kept by: ${by.join(", ") || reason}`);
  await refused("computing for ever", "LIMIT_EXCEEDED", () => tenant.exec("while :; do :; done"));
  await refused("a file that is too large", "LIMIT_EXCEEDED", () =>
    tenant.exec("head -c 2000000 /dev/zero > large.bin"),
  );
  const head = await tenant.exec("head -n 1 ledger.csv");
  check("an everyday command runs", head === "1,2");
  check(
    "the command sees no .env",
    (await tenant.exec("ls -A")).split("\n").every((name) => name !== ".env"),
  );
}
