// Builds the image over a base image that is made here, runs the daemon in containers, and looks at it from outside:
// that it is healthy, lets only the token in, has the wall around commands, keeps its host key, stops in time, has TLS,
// and runs by the compose file. Also that without the options for the wall it says so in one line and runs no command,
// and that what goes wrong is one line and leaves nothing.
//
// Needs root, a Docker engine (an own one is started where none answers) and debootstrap; see `make test-docker`.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  base,
  baseImage,
  cleanups,
  docker,
  engine,
  haveBaseImage,
  inNetworkOfItsOwn,
  pause,
} from "./docker/engine.mjs";

const here = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const binary = here("bin/agent-backend");
const CONTAINER = "agentbe-daemon";
let hasBridge = false;
let held = 0;

function holds(statement, isTrue, detail = "") {
  if (!isTrue) throw new Error(`it does not hold that ${statement}: ${detail}`);
  held += 1;
  console.log(`✓ ${statement}`);
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** The arguments of `start-docker`; without a bridge a container of its own network cannot be reached. */
const starting = (port, ...more) => [
  "start-docker",
  "--port",
  String(port),
  ...(hasBridge ? [] : ["--host-network"]),
  ...more,
];

/** Runs the command and gives exit status, output and errors. */
function run(args, env = {}) {
  const ran = spawnSync(binary, args, { encoding: "utf8", env: { ...process.env, ...env } });
  return { status: ran.status, stdout: ran.stdout, lines: ran.stderr.trim().split("\n") };
}

function started(...args) {
  const { status, stdout, lines } = run(args);
  if (status !== 0) throw new Error(`${args.join(" ")} failed: ${stdout}${lines.join("\n")}`);
  return stdout;
}

const inspect = (format) => docker("inspect", "--format", format, CONTAINER);
const isThere = () => docker("ps", "--all", "--quiet", "--filter", `name=${CONTAINER}`) !== "";
const logged = () => {
  const { stdout, stderr } = spawnSync("docker", ["logs", CONTAINER], { encoding: "utf8" });
  return `${stdout}${stderr}`;
};
const leftDirectories = () =>
  readdirSync(tmpdir()).filter((name) => name.startsWith("agent-backend-image-"));

const { RemoteFilesystemBackend } = await import("../dist/index.mjs");
const backendOf = (port, authToken, more = {}) =>
  new RemoteFilesystemBackend({
    rootDir: "/var/workspace",
    host: "127.0.0.1",
    port,
    authToken,
    hostKey: { trustOnFirstUse: path.join(base, "known_hosts") },
    ...more,
  });

const codeOf = (call) =>
  call.then(
    () => undefined,
    (error) => error.code,
  );

async function until(what, isSo, seconds) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(200)) {
    if (isSo()) return;
  }
  throw new Error(`not within ${seconds} s: ${what}`);
}

async function commonUse() {
  const port = await freePort();
  const said = started(...starting(port, "--base-image", baseImage));
  const token = /token, shown this once: (\S+)/.exec(said)?.[1];
  holds("a token is printed once", token?.length >= 32, said);
  const shown = docker("inspect", CONTAINER);
  holds("no argument of the container tells it", !JSON.parse(shown)[0].Args.join().includes(token));
  if (hasBridge) {
    const published = docker("port", CONTAINER);
    holds("its port is on loopback only", published === `3001/tcp -> 127.0.0.1:${port}`, published);
    const gateway = inspect("{{.NetworkSettings.Gateway}}");
    holds(
      "on the engine's bridge this machine does not answer for it",
      run(["health", "--host", gateway, "--port", String(port)]).status === 1,
    );
  }

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
  await until("healthy", () => inspect("{{.State.Health.Status}}") === "healthy", 60);
  holds("the engine sees that it is healthy", true);

  const began = Date.now();
  docker("restart", "--time", "15", CONTAINER);
  holds("it stops well before it would be killed", Date.now() - began < 12_000);
  holds(
    "after a restart host key and files are the same",
    (await backend.read("notes/a.txt")) === "from outside",
  );
  await backend.destroy();
  const again = started(...starting(port, "--base-image", baseImage));
  holds("started twice there is one, with another token", !again.includes(token) && isThere());
  docker("rm", "--force", CONTAINER);
}

/** An image over ours with a certificate, and a script that the entry point reads. */
async function ownImage() {
  const context = path.join(base, "own");
  mkdirSync(context);
  const certificate = path.join(context, "c.pem");
  execFileSync(
    "openssl",
    [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(" "),
      ..."-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1".split(" "),
      ...["-addext", "basicConstraints=CA:FALSE"],
      ...["-out", certificate, "-keyout", path.join(context, "k.pem")],
    ],
    { stdio: "ignore" },
  );
  writeFileSync(path.join(context, "10-log.sh"), "export LOG_FORMAT=json\n");
  const dockerfile = [
    `FROM agentbe-daemon:${version()}`,
    "COPY --chown=1000:1000 c.pem k.pem /tls/",
    "COPY 10-log.sh /docker-entrypoint.d/",
    "ENV TLS_CERT=/tls/c.pem TLS_KEY=/tls/k.pem",
    'HEALTHCHECK --interval=1s CMD ["agent-backend", "health"]',
  ];
  writeFileSync(path.join(context, "Dockerfile"), dockerfile.join("\n"));
  docker("build", "--quiet", "--tag", "agent-backend-test-own", context);

  const port = await freePort();
  const said = started(...starting(port, "--image", "agent-backend-test-own"));
  const token = /token, shown this once: (\S+)/.exec(said)?.[1];
  holds(
    "with a certificate start-docker sees TLS",
    said.includes(`https://127.0.0.1:${port}/mcp`) && said.includes("wss://"),
    said,
  );
  await until("healthy", () => inspect("{{.State.Health.Status}}") === "healthy", 20);
  holds("the image's health check knows the certificate", true);
  const ca = execFileSync("cat", [certificate], { encoding: "utf8" });
  const known = { hostKey: { trustOnFirstUse: path.join(base, "known_hosts_tls") } };
  const backend = backendOf(port, token, { secure: true, tls: { ca }, ...known });
  holds("a client that trusts it works", (await backend.exec("echo by TLS")) === "by TLS");
  await backend.destroy();
  const last = logged().trim().split("\n").at(-1) ?? "";
  holds("scripts of the entry point set variables", last.startsWith("{"), last);
  docker("rm", "--force", CONTAINER);
}

async function withoutOptions() {
  const port = await freePort();
  const how = ["run", "--detach", "--name", CONTAINER, "--network", "host"];
  const told = { AUTH_TOKEN: "t0ken", PORT: port, HOST: "127.0.0.1" };
  const variables = Object.entries(told).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  const volumes = ["agentbe-workspace:/var/workspace", "agentbe-state:/var/lib/agent-backend"];
  docker(
    ...how,
    ...variables,
    ...volumes.flatMap((volume) => ["--volume", volume]),
    `agentbe-daemon:${version()}`,
  );
  const weak = backendOf(port, "t0ken", {
    hostKey: { trustOnFirstUse: path.join(base, "known_hosts_of_another") },
  });
  await until("healthy", () => run(["health", "--port", String(port)]).status === 0, 10);
  holds("without the options files are served", !(await weak.exists("none")));
  holds(
    "and commands are refused, not run without a wall",
    (await codeOf(weak.exec("true"))) === "MISSING_UTILITIES",
  );
  await weak.destroy();
  const lines = logged()
    .split("\n")
    .filter((line) => /bwrap|bubblewrap/.test(line));
  holds("and the daemon says so in one line", lines.length === 1, lines.join("\n"));
}

/** What goes wrong: its last line, and what is left of it. */
async function faults() {
  const port = await freePort();
  const none = { DOCKER_HOST: `unix://${base}/nobody` };
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const bad = path.join(base, "bad.env");
  writeFileSync(bad, "TOKENS_FILE=/not/there\n");
  const over = ["--base-image", baseImage];
  const cases = [
    ["without an engine", starting(port, ...over), /engine does not answer/, none],
    ["without the command line", starting(port, "--docker", "/not/there"), /\/not\/there: /],
    ["for a port in use", starting(taken.address().port, ...over), /in use/],
    ["for no base image", starting(port, "--base-image", "not/there:1"), /"not\/there:1"/],
    ["for no image", starting(port, "--image", "Not There"), /docker pull/],
    ["for no file of variables", starting(port, "--env-file", "/not/there"), /--env-file/],
    ["for a daemon that ends", starting(port, ...over, "--env-file", bad), /ended at once/],
  ];
  for (const [when, args, line, env] of cases) {
    // Of a network that is this machine's, the daemon itself says that the port is taken.
    const expected = hasBridge || when !== "for a port in use" ? line : /ended at once/;
    const { status, lines } = run(args, env);
    const last = lines.at(-1) ?? "";
    const isRight = status === 1 && last.startsWith("agent-backend: ") && expected.test(last);
    const isTidy = !isThere() && leftDirectories().length === 0;
    holds(`${when} start-docker says so and leaves nothing`, isRight && isTidy, last);
  }
  taken.close();

  docker(
    "build",
    "--quiet",
    "--tag",
    "agent-backend-test-mute",
    context("mute", [`FROM agentbe-daemon:${version()}`, 'ENTRYPOINT ["sleep", "100"]']),
  );
  const child = spawn(binary, starting(port, "--image", "agent-backend-test-mute"), {
    stdio: "ignore",
  });
  await until("it runs", () => isThere() && inspect("{{.State.Running}}") === "true", 20);
  child.kill("SIGINT");
  const [code] = await once(child, "exit");
  holds(
    "interrupted, start-docker takes back what it began",
    code === 130 && !isThere() && leftDirectories().length === 0,
    `${code} ${leftDirectories()}`,
  );
  const attached = spawn(binary, starting(port, ...over, "--foreground"), {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let said = "";
  attached.stdout.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  await until("healthy", () => run(["health", "--port", String(port)]).status === 0, 30);
  const token = /token, shown this once: (\S+)/.exec(said)?.[1];
  const backend = backendOf(port, token);
  holds("in the foreground the token is printed too", !(await backend.exists("none")), said);
  await backend.destroy();
  attached.kill("SIGINT");
  const [ended] = await once(attached, "exit");
  holds("and an interrupt ends the daemon in order", ended === 0 && !isThere(), `${ended}`);
  const third = spawn(binary, starting(port, ...over, "--foreground"), { stdio: "ignore" });
  await until("healthy", () => run(["health", "--port", String(port)]).status === 0, 30);
  const elsewhere = run(["stop-docker"]);
  await once(third, "exit");
  holds("stop-docker ends one in the foreground too", elsewhere.status === 0 && !isThere());
  const stopped = run(["stop-docker"]);
  holds("stop-docker is content where there is none", stopped.status === 0);
}

/** A directory to build in. */
function context(name, dockerfile) {
  const directory = path.join(base, name);
  mkdirSync(directory);
  writeFileSync(path.join(directory, "Dockerfile"), dockerfile.join("\n"));
  return directory;
}

/** Compose of version 2: as a part of the engine's command line, or by itself. */
function findCompose() {
  for (const words of [[process.env.COMPOSE ?? "docker-compose"], ["docker", "compose"]]) {
    const [program, ...before] = words;
    const { stdout } = spawnSync(program, [...before, "version", "--short"], { encoding: "utf8" });
    if (/^v?2\./.test(stdout ?? "")) return words;
  }
  return undefined;
}

async function compose() {
  const words = findCompose();
  if (words === undefined || !hasBridge) {
    console.log(
      "- the compose file was not run: it needs Compose 2 (docker compose), and a bridge",
    );
    return;
  }
  const directory = path.join(base, "compose");
  cpSync(here("docker"), directory, { recursive: true });
  copyFileSync(binary, path.join(directory, "agent-backend"));
  const port = await freePort();
  const token = "token-of-the-compose-file-with-32-letters";
  const env = { ...process.env, AUTH_TOKEN: token, BASE_IMAGE: baseImage, PORT: String(port) };
  const composed = (args, more = {}) => {
    const [program, ...before] = words;
    const all = [...before, "--file", path.join(directory, "compose.yaml"), ...args];
    return spawnSync(program, all, { encoding: "utf8", env: { ...env, ...more } });
  };
  cleanups.push(() => composed(["down", "--volumes", "--rmi", "local"]));
  const up = composed(["up", "--build", "--detach"]);
  if (up.status !== 0) throw new Error(`the compose file does not run: ${up.stderr}`);
  await until("healthy", () => run(["health", "--port", String(port)]).status === 0, 20);
  const backend = backendOf(port, token, {
    hostKey: { trustOnFirstUse: path.join(base, "known_hosts_of_compose") },
  });
  holds(
    "by the compose file commands run behind the wall",
    (await backend.exec("id -u")) === "1000",
  );
  await backend.destroy();
  const refused = composed(["config"], { AUTH_TOKEN: "" }).stderr;
  holds("without a token the compose file asks for one", refused.includes("AUTH_TOKEN"), refused);
}

async function main() {
  hasBridge = await engine();
  if (!hasBridge) console.log("no bridge here: containers share this machine's network");
  haveBaseImage();
  const made = ["agent-backend-test-own", "agent-backend-test-mute"];
  cleanups.push(() => spawnSync("docker", ["rmi", "--force", ...made], { stdio: "ignore" }));
  cleanups.push(() => run(["stop-docker"]));
  await commonUse();
  await ownImage();
  await withoutOptions();
  const stopped = run(["stop-docker"]);
  holds("stop-docker removes it", stopped.status === 0 && !isThere());
  await faults();
  await compose();
  console.log(`${held} statements hold`);
}

const version = () =>
  execFileSync(binary, ["--version"], { encoding: "utf8" }).trim().split(" ")[1];

if (!existsSync(binary)) throw new Error("run `make build` first");
const elsewhere = inNetworkOfItsOwn();
if (elsewhere !== undefined) process.exit(elsewhere);
let failed = false;
try {
  await main();
} catch (error) {
  failed = true;
  console.error(error);
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
process.exit(failed ? 1 : 0);
