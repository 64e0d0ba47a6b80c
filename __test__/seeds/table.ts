// How each sample of the seeds is run: what stands in for what, and which samples wait for which issue.

import type { Entry, Substitution } from "./entry.js";
import { AGENT, atSshServer, call, everywhere, remote, sshAuth } from "./remote.js";

/** In every sample: the workspace is a directory of the test. */
export const WORKSPACE: Substitution = {
  kind: "path prefix",
  pattern: /'(\/tmp\/agentbe-workspace|\/tmp\/workspace|\/var\/workspace)'/g,
  replacement: "ROOT",
};

const backend = "const backend = new LocalFilesystemBackend({ rootDir: ROOT });";

/** Projects in scopes, which the samples install, build and test. */
const projects = (...scopes: string[]): string => `
  for (const scope of ${JSON.stringify(scopes)}) {
    await new LocalFilesystemBackend({ rootDir: ROOT }).scope(scope).write("package.json", JSON.stringify({
      name: "app", version: "1.0.0",
      scripts: { build: "echo built for $NODE_ENV > built; echo built", test: "echo tested > tested" },
    }));
  }`;

const clone: Substitution = {
  kind: "network",
  pattern: /git clone https:\/\/github\.com\/user\/repo\.git \./,
  replacement:
    'up=$(mktemp -d) && git init -q "$up" && mkdir "$up/src" && echo 1 > "$up/src/index.js" && ' +
    'echo "{\\\\"scripts\\\\":{\\\\"build\\\\":\\\\"echo built\\\\"}}" > "$up/package.json" && git -C "$up" add -A && ' +
    'git -C "$up" -c user.name=a -c user.email=a@example.org commit -qm x && git clone -q "$up" .',
};

/** Nothing dangerous is given to a backend before it refused something harmless that it must refuse too. */
const guard = `
  async function refused(call: () => Promise<unknown>): Promise<void> {
    const error: unknown = await call().then(() => undefined, (error) => error);
    if (!(error instanceof DangerousOperationError)) {
      console.log("NOT REFUSED");
      process.exit(1);
    }
    console.log("refused:", error.operation);
  }
  await refused(() => backend.exec("touch started; sudo true"));`;

const refusals: Entry = {
  id: "",
  what: "dangerous commands",
  before: backend + guard,
  substitutions: [
    {
      kind: "refusal",
      pattern: /await (backend\.exec\('[^']*'\))/g,
      replacement: "await refused(() => $1)",
    },
  ],
  after: 'console.log("started:", await backend.exists("started"));',
  prints: [
    "refused: rm -rf /\n",
    "refused: sudo apt-get\n",
    "refused: curl ... | sh\n",
    "started: false",
  ],
};

const scopes: Entry = {
  id: "",
  what: "scopes",
  before: projects("users/user1", "users/user1/projects/my-app"),
  after: `console.log(await project.exists("tested"), await user2.exists(".git"), await user1.exists(".git"));
          console.log((await backend.listActiveScopes()).join());`,
  prints: ["true true false", "users/user1,users/user2"],
};

const localMain: Entry = {
  id: "",
  what: "a project cloned, installed and built",
  substitutions: [clone],
  after: "console.log(output, files.join(), await backend.read('config.json'));",
  prints: [/built\s+index\.js \{"version":"1\.0"\}/],
};

const memory: Entry = {
  id: "",
  what: "memory",
  after: "console.log(state, sessions.join());",
  prints: ['{"step":2} session/user123/state'],
};

const isolation: Entry = {
  id: "",
  what: "isolation",
  after: "console.log(backend.isolation, await backend.exec('echo ran'));",
  prints: [/^(bwrap|software) ran/m],
};

const trusted: Entry = {
  id: "",
  what: "a trusted environment",
  after: "console.log(await backend.exec('sudo() { echo passed; }; sudo x'));",
  prints: ["passed"],
};

const tools: Entry = {
  id: "",
  what: "tools for an agent",
  before: `
  await new LocalFilesystemBackend({ rootDir: ROOT }).write("package.json", JSON.stringify({
    name: "app", version: "1.0.0", scripts: { postinstall: "echo installed > installed" },
  }));
  const agent = {
    run: ({ tools }: { tools: object }) => console.log(Object.keys(tools).slice(0, 2).join()),
  };`,
  substitutions: [{ kind: "...", pattern: /,\n *\.\.\.\n/, replacement: "\n" }],
  after: `console.log(result.isError ?? false);
          const again = new LocalFilesystemBackend({ rootDir: ROOT });
          console.log((await again.read("installed")).trim());
          console.log(await mcp.ping().catch(({ code }: BackendError) => code));`,
  prints: ["read_file,read_text_file\nfalse\ninstalled\n"],
};

const scopedTools: Entry = {
  id: "",
  what: "tools of a scope",
  before: backend,
  after: `const { content } = await mcp.callTool({ name: "list_allowed_directories" });
          console.log(JSON.stringify(content));
          await mcp.callTool({ name: "write_file", arguments: { path: "a.txt", content: "scoped" } });
          console.log(await backend.read("users/user1/projects/my-app/a.txt"));`,
  prints: [/Allowed directories:.*\/users\/user1\/projects\/my-app"/, "scoped"],
};

const aiSdk: Entry = {
  id: "",
  what: "the AI SDK",
  before: `
  await new LocalFilesystemBackend({ rootDir: ROOT }).scope("src").write("index.ts", "export {}");
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 },
  };
  const model = new MockLanguageModelV4({
    doGenerate: {
      content: [{
        type: "tool-call", toolCallId: "1", toolName: "search_files",
        input: JSON.stringify({ path: "src", pattern: "**/*.ts" }),
      }],
      finishReason: { unified: "tool-calls", raw: undefined }, usage, warnings: [],
    },
  });`,
  substitutions: [
    {
      kind: "model",
      pattern: /import \{ openai \} from '@ai-sdk\/openai'/,
      replacement: "import { MockLanguageModelV4 } from 'ai/test'",
    },
    { kind: "model", pattern: /openai\('gpt-5'\)/, replacement: "model" },
  ],
  after: `console.log(JSON.stringify(result.toolResults));
          console.log(await backend.exists("src/index.ts"));`,
  prints: [/\/src\/index\.ts"/, "true"],
};

const as = (id: string, entry: Entry): Entry => ({ ...entry, id });

/** Every sample, in order. */
export const TABLE: Entry[] = [
  {
    id: "000#1",
    what: "a shell command, no TypeScript",
    waits: "nothing: the package's installation",
  },
  {
    id: "000#2",
    what: "a first write",
    before: backend,
    after: "console.log(await backend.read('hello.txt'));",
    prints: ["Hello World!"],
  },
  {
    ...everywhere,
    id: "000#3",
    before: `${everywhere.before} const SECRET = DAEMON.token;`,
    substitutions: [...(everywhere.substitutions ?? []), call],
  },
  as("000#4", memory),
  as("000#5", localMain),
  as("000#6", remote),
  as("000#7", tools),
  as("000#8", scopes),
  as("000#9", scopedTools),
  as("000#10", isolation),
  as("000#11", refusals),
  as("000#12", trusted),
  {
    id: "000#13",
    what: "tools and destroy",
    after: "console.log(await mcp.ping().catch(({ code }: BackendError) => code));",
    prints: ["DESTROYED"],
  },
  {
    id: "000#14",
    what: "trackCloseable",
    before: `${backend} const myCustomResource = { close: async () => console.log("closed") };`,
    after: "await backend.destroy();",
    prints: ["closed"],
  },
  {
    ...everywhere,
    id: "001#1",
    substitutions: [
      ...(everywhere.substitutions ?? []),
      call,
      { kind: "...", pattern: /,\n\.\.\.\n/, replacement: ", authToken: DAEMON.token\n" },
    ],
  },
  as("001#2", memory),
  as("001#3", localMain),
  as("001#4", remote),
  as("001#5", tools),
  as("001#6", scopes),
  as("001#7", scopedTools),
  as("001#8", isolation),
  as("001#9", refusals),
  as("001#10", trusted),
  as("001#11", aiSdk),
  { id: "001#12", what: "the pool", waits: "the pool (a later issue)" },
  {
    id: "001#13",
    what: "remote, connect",
    daemon: { sshUsers: "root:agents" },
    before: `
    const here = new LocalFilesystemBackend({ rootDir: ROOT });
    await here.write("package.json", JSON.stringify({
      name: "app", version: "1.0.0", scripts: { postinstall: "echo installed > installed" },
    }));`,
    substitutions: [
      { kind: "host", pattern: /'localhost'/, replacement: "'127.0.0.1'" },
      { kind: "host", pattern: /sshPort: 2222/, replacement: "sshPort: DAEMON.sshPort" },
      { kind: "host", pattern: /mcpPort: 3001/, replacement: "mcpPort: DAEMON.port" },
    ],
    after: `
    console.log(backend.status, (await here.read("installed")).trim()); await backend.destroy();`,
    prints: ["connected installed"],
  },
  {
    id: "001#14",
    what: "a scope's environment",
    before: backend + projects("projects/my-app"),
    after:
      "console.log(await scopedBackend.read('built'), await scopedBackend.exec('echo $API_KEY'));",
    prints: ["built for production", "secret"],
  },
  {
    id: "001#15",
    what: "an operations logger",
    before: backend + projects("project"),
    prints: ["[AgentBackend] exec: npm install\n"],
  },
  {
    id: "001#16",
    what: "binary data",
    before: `${backend} await backend.write("logo.png", Buffer.from([137, 80, 78, 71, 0, 255]));`,
    after: "console.log(imageData.toString('hex'), tarball.subarray(0, 2).toString('hex'));",
    prints: ["89504e4700ff 1f8b"],
  },
  {
    id: "001#17",
    what: "remote, time limits",
    daemon: AGENT,
    substitutions: [atSshServer, sshAuth],
    after: `
    const { stdout, truncated } = await backend.run("head -c 20000000 /dev/zero | tr '\\\\0' x");
    console.log(truncated, Buffer.byteLength(stdout) <= 10 * 1024 * 1024 + 200);
    await backend.destroy();`,
    prints: ["true true"],
  },
  {
    id: "001#18",
    what: "code of a user",
    before: "const userId = 42; const untrustedCode = 'console.log(6 * 7)';",
    after: "console.log('result', result);",
    prints: ["result 42"],
  },
  {
    id: "001#19",
    what: "a backend for each organisation",
    daemon: AGENT,
    substitutions: [
      { kind: "path prefix", pattern: /'\/var\/saas(\/org\d)'/g, replacement: "ROOT + '$1'" },
      { ...atSshServer, pattern: /host: 'org\d-server\.example\.com'/g },
      sshAuth,
    ],
    after: `
    await Promise.all([org1User1.write("a", "1"), org1User2.write("a", "2"),
      org2User1.write("a", "3"), org2User2.write("a", "4")]);
    const here = new LocalFilesystemBackend({ rootDir: ROOT });
    const read = (path: string) => here.read(path + "/a");
    console.log(await read("org1/users/user1"), await read("org1/users/user2"),
      await read("org2/users/user1"), await read("org2/users/user2"));
    await Promise.all([org1Backend.destroy(), org2Backend.destroy()]);`,
    prints: ["1 2 3 4"],
  },
  {
    id: "001#20",
    what: "state of agents",
    after: "console.log(allAgents.join());",
    prints: ["agents/agent1/current-task,agents/agent1/progress"],
  },
  {
    id: "001#21",
    what: "errors",
    before: backend + guard,
    prints: ["Blocked: rm -rf /"],
  },
  {
    id: "001#22",
    what: "types",
    substitutions: [
      { kind: "missing declaration", pattern: /import type \{/, replacement: "import {" },
    ],
    after: "console.log(backend.type, scopedBackend.scopePath);",
    prints: ["local-filesystem project"],
  },
  { id: "003#1", what: "a composite backend", waits: "composite backends (a later issue)" },
];
