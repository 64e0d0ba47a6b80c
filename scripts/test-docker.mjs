// Builds the image over a base image that is made here, runs the daemon in a container, and looks at it from outside:
// that it is healthy, lets only the token in, has the wall around commands, keeps its host key, and stops in time. Also
// that without the options for the wall it says so in one line and runs no command.
//
// Needs root, a Docker engine (an own one is started where none answers) and debootstrap; see `make test-docker`.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const binary = fileURLToPath(new URL("../bin/agent-backend", import.meta.url));
const { RemoteFilesystemBackend } = await import("../dist/index.mjs");
const base = mkdtempSync(path.join(tmpdir(), "agent-backend-docker-"));
const image = process.env.BASE_IMAGE ?? "agent-backend-test-base";
const cleanups = [() => rmSync(base, { recursive: true, force: true })];
let held = 0;

function holds(statement, isTrue, detail = "") {
  if (!isTrue) throw new Error(`it does not hold that ${statement}: ${detail}`);
  held += 1;
  console.log(`✓ ${statement}`);
}

const docker = (...args) => execFileSync("docker", args, { encoding: "utf8" }).trim();
const answers = () => spawnSync("docker", ["version"], { stdio: "ignore" }).status === 0;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function engine() {
  if (answers()) return;
  const at = (name) => path.join(base, name);
  const flags = ["--iptables=false", "--ip6tables=false", "--bridge=none"];
  const places = ["--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid")];
  const daemon = spawn("dockerd", [...flags, ...places, "-H", `unix://${at("socket")}`], {
    stdio: "ignore",
  });
  cleanups.unshift(async () => {
    const gone = new Promise((resolve) => daemon.once("exit", resolve));
    daemon.kill("SIGTERM");
    await gone;
  });
  process.env.DOCKER_HOST = `unix://${at("socket")}`;
  for (let tries = 0; tries < 100 && !answers(); tries += 1) await pause(200);
  if (!answers()) throw new Error("no Docker engine answers, and none could be started");
}

function baseImage() {
  if (process.env.BASE_IMAGE !== undefined) return;
  const root = path.join(base, "root");
  console.log("making a base image");
  execFileSync("debootstrap", ["--variant=minbase", "--include=bubblewrap", "bookworm", root], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  execFileSync("sh", ["-c", `tar -C '${root}' -c . | docker import - ${image}`], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  rmSync(root, { recursive: true, force: true });
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

function startDocker(port, ...more) {
  // Of its own network a container here would have no way to the host: the engine makes no bridge.
  const args = ["start-docker", "--base-image", image, "--port", String(port), "--host-network"];
  const { status, stdout, stderr } = spawnSync(binary, [...args, ...more], { encoding: "utf8" });
  if (status !== 0) throw new Error(`start-docker failed: ${stdout}${stderr}`);
  return stdout;
}

const backendOf = (port, authToken, knownHosts = "known_hosts") =>
  new RemoteFilesystemBackend({
    rootDir: "/var/workspace",
    host: "127.0.0.1",
    port,
    authToken,
    hostKey: { trustOnFirstUse: path.join(base, knownHosts) },
  });

const codeOf = (call) =>
  call.then(
    () => undefined,
    (error) => error.code,
  );

async function main() {
  await engine();
  baseImage();
  cleanups.unshift(() => spawnSync(binary, ["stop-docker"], { stdio: "ignore" }));
  const port = await freePort();
  const said = startDocker(port);
  const token = /token, shown this once: (\S+)/.exec(said)?.[1];
  holds("a token is printed once", token?.length >= 32, said);
  const shown = docker("inspect", "agentbe-daemon");
  holds("no argument of the container tells it", !JSON.parse(shown)[0].Args.join().includes(token));

  const backend = backendOf(port, token);
  await backend.write("notes/a.txt", "from outside");
  holds(
    "what is written from outside a command reads inside",
    (await backend.exec("cat notes/a.txt")) === "from outside",
  );
  holds("commands do not run as root", (await backend.exec("id -u")) !== "0");
  await backend.scope("users/1").write("secret.txt", "mine");
  const other = await backend.scope("users/2").run("cat ../1/secret.txt; ls /var/workspace/users");
  holds(
    "a tenant's command does not see the other's files",
    !other.stdout.includes("mine") && !other.stdout.includes("1"),
  );
  const environment = await backend.exec("cat /proc/*/environ | tr '\\0' '\\n'; env");
  holds("no command sees the token", !environment.includes(token));
  const wrong = backendOf(port, "wrong");
  holds("another token is refused", (await codeOf(wrong.read("notes/a.txt"))) === "UNAUTHORIZED");
  await wrong.destroy();
  for (let tries = 0; tries < 60; tries += 1) {
    if (docker("inspect", "--format", "{{.State.Health.Status}}", "agentbe-daemon") === "healthy")
      break;
    await pause(1000);
  }
  holds(
    "the engine sees that it is healthy",
    docker("inspect", "--format", "{{.State.Health.Status}}", "agentbe-daemon") === "healthy",
  );

  const began = Date.now();
  docker("restart", "--time", "15", "agentbe-daemon");
  holds("it stops well before it would be killed", Date.now() - began < 12_000);
  holds(
    "after a restart host key and files are the same",
    (await backend.read("notes/a.txt")) === "from outside",
  );
  await backend.destroy();

  docker("rm", "--force", "agentbe-daemon");
  const bare = [
    "run",
    "--detach",
    "--name",
    "agentbe-daemon",
    "--network",
    "host",
    "--env",
    "AUTH_TOKEN=t0ken",
  ];
  docker(
    ...bare,
    "--env",
    `PORT=${port}`,
    "--env",
    "HOST=127.0.0.1",
    `agentbe-daemon:${version()}`,
  );
  const weak = backendOf(port, "t0ken", "known_hosts_of_another");
  for (let tries = 0; tries < 50; tries += 1) {
    if (spawnSync(binary, ["health", "--port", String(port)]).status === 0) break;
    await pause(100);
  }
  holds("without the options files are served", !(await weak.exists("none")));
  holds(
    "and commands are refused, not run without a wall",
    (await codeOf(weak.exec("true"))) === "MISSING_UTILITIES",
  );
  await weak.destroy();
  const logs = spawnSync("docker", ["logs", "agentbe-daemon"], { encoding: "utf8" });
  const lines = `${logs.stdout}${logs.stderr}`
    .split("\n")
    .filter((line) => /bwrap|bubblewrap/.test(line));
  holds("and the daemon says so in one line", lines.length === 1, lines.join("\n"));

  const stopped = spawnSync(binary, ["stop-docker"], { encoding: "utf8" });
  holds(
    "stop-docker removes it",
    stopped.status === 0 &&
      docker("ps", "--all", "--quiet", "--filter", "name=agentbe-daemon") === "",
  );
  console.log(`${held} statements hold`);
}

const version = () =>
  execFileSync(binary, ["--version"], { encoding: "utf8" }).trim().split(" ")[1];

if (!existsSync(binary)) throw new Error("run `make build` first");
let failed = false;
try {
  await main();
} catch (error) {
  failed = true;
  console.error(error);
} finally {
  for (const cleanup of cleanups) await cleanup();
}
process.exit(failed ? 1 : 0);
