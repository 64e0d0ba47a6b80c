// The example `examples/TSBasic` as its users run it: a process of its own, started by the command of its package.json.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { cleanUp, eventually, temporaryDirectory } from "./support/backends.js";
import { needs } from "./support/needs.js";

const repository = fileURLToPath(new URL("..", import.meta.url));
const example = join(repository, "examples/TSBasic");

/** The parts of a manifest that are looked at. */
interface Manifest {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

const manifest = async (directory: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(directory, "package.json"), "utf8"));

/**
 * A copy of the example, installed offline: `agent-backend` is a link, as npm makes it, and the rest is found above, in
 * the packages of this repository.
 */
async function installed(): Promise<string> {
  await mkdir(join(repository, "target"), { recursive: true });
  const directory = await mkdtemp(join(repository, "target/example-"));
  cleanUp(() => rm(directory, { recursive: true, force: true }));
  const own = (path: string) => !/\/(node_modules|workspace)$/.test(path);
  await cp(example, directory, { recursive: true, filter: own });
  await mkdir(join(directory, "node_modules"));
  await symlink(repository, join(directory, "node_modules/agent-backend"));
  return directory;
}

/** A chat that runs, and what it has printed. */
interface Chat {
  child: ChildProcess;
  workspace: string;
  printed(): string;
  /** Its exit code. */
  ended: Promise<number | null>;
}

/** How a chat is started. */
interface Start {
  /** Words of the command line. */
  question?: string[];
  env?: Record<string, string>;
  /** Whether it has a terminal, where what is written to its standard input are keys. */
  terminal?: boolean;
}

/** Starts a chat in a workspace with these files. */
async function start(
  files: Record<string, string>,
  { question = [], env = {}, terminal = false }: Start = {},
): Promise<Chat> {
  const directory = await installed();
  const workspace = await realpath(await temporaryDirectory());
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(workspace, name), content);
  }
  const [program, ...given] = (await manifest(directory)).scripts["start"]?.split(" ") ?? [];
  expect(program).toBe("node");
  const command = [process.execPath, ...given, ...question];
  const inTerminal = ["/usr/bin/script", "-qec", command.join(" "), "/dev/null"];
  const [file = "", ...rest] = terminal ? inTerminal : command;
  const child = spawn(file, rest, {
    cwd: directory,
    env: { PATH: process.env["PATH"], AGENT_WORKSPACE: workspace, ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  cleanUp(async () => child.kill("SIGKILL"));
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    printed += text;
  });
  const ended = once(child, "close").then(([code]) => code);
  return { child, workspace, printed: () => printed, ended };
}

/** The chat once it has read its questions, a line each, and ended. */
async function piped(files: Record<string, string>, input: string): Promise<Chat> {
  const chat = await start(files);
  chat.child.stdin?.end(input);
  expect(await chat.ended).toBe(0);
  return chat;
}

/** The tools that were called, in order. */
const calls = (printed: string): string[] =>
  [...printed.matchAll(/^ {2}● (\w+) /gm)].map(([, name = ""]) => name);

/** How many commands run for a workspace: their home is its root. */
async function commandsIn(workspace: string): Promise<number> {
  const processes = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const environments = processes.map((id) =>
    readFile(`/proc/${id}/environ`, "utf8").catch(() => ""),
  );
  const found = (await Promise.all(environments)).filter((environment) =>
    environment.split("\0").includes(`HOME=${workspace}`),
  );
  return found.length;
}

needs("dist")(
  "the scripted agent writes a program, runs it, fixes its bug, and answers",
  async () => {
    const chat = await piped({}, "Which numbers below 30 are prime?\nand again\nexit\nnot asked\n");
    const printed = chat.printed();
    const first = ["list_directory", "write_file", "exec", "edit_file", "exec"];
    expect(calls(printed)).toEqual([...first, "list_directory", "exec"]);
    expect(printed).toContain("› Which numbers below 30 are prime?\n");
    expect(printed).toContain("    │ 2 3 4 5 7 9 11 13 17 19 23 25 29\n4 is no prime");
    expect(printed).toContain("    │ 2 3 5 7 11 13 17 19 23 29\nThe primes below 30 are 2, 3, 5,");
    expect(printed).not.toContain("not asked");
    expect(await readdir(chat.workspace)).toEqual(["primes.mjs"]);
    const left = await promisify(execFile)(process.execPath, [join(chat.workspace, "primes.mjs")]);
    expect(left.stdout).toBe("2 3 5 7 11 13 17 19 23 29\n");
  },
);

needs("dist")("what a command prints cannot steer the terminal", async () => {
  const hostile = String.raw`console.log("\u001b[2J\u009b2J\u202eok\rforged\nsecond")`;
  const chat = await piped({ "primes.mjs": hostile }, "run it");
  expect(calls(chat.printed())).toEqual(["list_directory", "exec"]);
  const shown = String.raw`\u{1b}[2J\u{9b}2J\u{202e}ok\u{d}forged`;
  expect(chat.printed()).toContain(`    │ ${shown}\n    │ second\n`);
  expect(chat.printed()).toContain(`That is not what I expected: ${shown}\nsecond\n`);
  expect(chat.printed()).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
});

needs("dist")("an interrupt ends the turn and the command that runs for it", async () => {
  const chat = await start({}, { question: ["please", "wait"] });
  await eventually(() => chat.printed().includes('● exec {"command":"sleep 60"}'), 20_000);
  await eventually(async () => (await commandsIn(chat.workspace)) > 0);
  chat.child.kill("SIGINT");
  expect(await chat.ended).toBe(130);
  expect(chat.printed()).toContain("› please wait\n");
  expect(chat.printed().endsWith("(cancelled)\n")).toBe(true);
  await eventually(async () => (await commandsIn(chat.workspace)) === 0);
});

needs("dist", "script")(
  "in a terminal, Ctrl-C ends the turn, the chat goes on, and Ctrl-C at the prompt leaves",
  async () => {
    const chat = await start({}, { terminal: true });
    const prompts = () => chat.printed().split("› ").length - 1;
    await eventually(() => prompts() > 0, 20_000);
    chat.child.stdin?.write("please wait\r");
    await eventually(async () => (await commandsIn(chat.workspace)) > 0, 20_000);
    const before = prompts();
    chat.child.stdin?.write("\u0003");
    await eventually(() => chat.printed().includes("(cancelled)") && prompts() > before);
    await eventually(async () => (await commandsIn(chat.workspace)) === 0);
    chat.child.stdin?.write("Which numbers below 30 are prime?\r");
    await eventually(() => /computes them\.\s.*› /s.test(chat.printed()), 20_000);
    chat.child.stdin?.write("\u0003");
    expect(await chat.ended).toBe(0);
  },
);

needs("dist")("with a key the provider's model is asked, and its error ends the chat", async () => {
  const asked: { url?: string | undefined; model: string; tools: { name: string }[] }[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    asked.push({ url: request.url, ...JSON.parse(body) });
    response.writeHead(401, { "content-type": "application/json" });
    response.end('{"error":{"message":"a wrong key","type":"error"}}');
  }).listen(0, "127.0.0.1");
  cleanUp(async () => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const env = {
    OPENAI_API_KEY: "key",
    OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
    AGENT_MODEL: "some-model",
  };
  const chat = await start({}, { question: ["hello"], env });
  expect(await chat.ended).toBe(1);
  expect(chat.printed()).toContain("a wrong key");
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatchObject({ url: "/v1/responses", model: "some-model" });
  const tools = asked[0]?.tools.map(({ name }) => name);
  expect(tools).toEqual(expect.arrayContaining(["read_text_file", "edit_file", "exec"]));
});

test("the example asks for the versions that it is tested with", async () => {
  const [own, tested] = [await manifest(example), await manifest(repository)];
  const { "agent-backend": ours, ...others } = own.dependencies;
  expect(ours).toBe("file:../..");
  for (const [name, version] of Object.entries({ ...others, ...own.devDependencies })) {
    expect(tested.devDependencies[name], name).toBe(version);
  }
});
