// The AI SDK drives the tools: a scripted model calls them step by step, down to files on the disk.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { asSchema, generateText, isStepCount, streamText, type ToolSet } from "ai";
import { describe, expect, test } from "vitest";
import { type AISDKToolSet, MemoryBackend, VercelAIAdapter } from "../../ts/index.js";
import {
  cleanUp,
  commandFixtures,
  eventually,
  type fixtures,
  localBackend,
} from "../support/backends.js";
import { isAlive, pidIn } from "../support/mcp.js";
import { type Step, scripted, shown } from "../support/model.js";

const stopWhen = isStepCount(10);

/** A model that writes a program, runs it and reads what it left. */
const script: Step[] = [
  {
    calls: [
      ["write_file", { path: "src/program.sh", content: "echo printed; echo left > result.txt\n" }],
      ["create_directory", { path: "out" }],
    ],
  },
  { calls: [["exec", { command: "sh ../src/program.sh", cwd: "out" }]] },
  { calls: [["read_text_file", { path: "out/result.txt" }]] },
  { text: "done" },
];

const text = (value: string) => ({ type: "content", value: [{ type: "text", text: value }] });

/** A program over tools: gives the final text, and what the model was shown before it. */
const programs = {
  async generateText(tools: ToolSet) {
    const model = scripted(...script);
    const { text, steps } = await generateText({ model, tools, stopWhen, prompt: "go" });
    const last = model.doGenerateCalls.at(-1);
    return {
      text,
      steps: steps.length,
      shown: shown(last?.prompt ?? []),
      first: model.doGenerateCalls[0],
    };
  },
  async streamText(tools: ToolSet) {
    const model = scripted(...script);
    const { textStream, steps } = streamText({ model, tools, stopWhen, prompt: "go" });
    let text = "";
    for await (const piece of textStream) text += piece;
    const last = model.doStreamCalls.at(-1);
    return {
      text,
      steps: (await steps).length,
      shown: shown(last?.prompt ?? []),
      first: model.doStreamCalls[0],
    };
  },
};

/** Whose tools. */
const makers = {
  "our client": async (backend) => (await backend.getMCPClient()).tools(),
  VercelAIAdapter: async (backend) => (await new VercelAIAdapter(backend).getMCPClient()).tools(),
} satisfies Record<
  string,
  (backend: Awaited<ReturnType<(typeof fixtures)[number]["open"]>>["backend"]) => Promise<ToolSet>
>;

describe.each(commandFixtures)("$name", (fixture) => {
  describe.each(Object.entries(makers))("the tools of %s", (_, toolsOf) => {
    test.each(Object.entries(programs))("work in %s, step by step", async (_name, program) => {
      const { backend } = await fixture.open();
      const result = await program(await toolsOf(backend));
      expect(result.text).toBe("done");
      expect(result.steps).toBe(4);
      expect(await readFile(join(backend.rootDir, "out/result.txt"), "utf8")).toBe("left\n");
      expect(result.shown).toEqual([
        text("Successfully wrote to src/program.sh"),
        text("Successfully created directory out"),
        text(expect.stringContaining("printed") as unknown as string),
        text("left\n"),
      ]);
      const offered = result.first?.tools?.map(({ name }) => name);
      expect(offered).toContain("exec");
      expect(offered).toContain("read_text_file");
    });
  });
});

describe("tools()", () => {
  test("is what @ai-sdk/mcp makes of the same server", async () => {
    const backend = await localBackend();
    const ours = await (await backend.getMCPClient()).tools();
    const client = await new VercelAIAdapter(backend).getMCPClient();
    const theirs: ToolSet = await client.tools();
    expect(Object.keys(ours)).toEqual(Object.keys(theirs));
    for (const [name, tool] of Object.entries(ours)) {
      const other = theirs[name];
      expect(tool.type, name).toBe(other?.type);
      expect(tool.title, name).toBe(other?.title);
      expect(tool.description, name).toBe(other?.description);
      expect({ ...tool.metadata, clientName: "" }, name).toEqual({
        ...other?.metadata,
        clientName: "",
      });
      expect(await asSchema(tool.inputSchema).jsonSchema, name).toEqual(
        await asSchema(other?.inputSchema).jsonSchema,
      );
    }
    expect(ours["toString"]).toBeUndefined();
  });

  test("a tool that fails answers, so that the model can read why and go on", async () => {
    const backend = new MemoryBackend();
    const model = scripted(
      { calls: [["read_text_file", { path: "missing.txt" }]] },
      { calls: [["read_text_file", { wrong: 1 }]] },
      { text: "done" },
    );
    const tools = await (await backend.getMCPClient()).tools();
    const result = await generateText({ model, tools, stopWhen, prompt: "go" });
    expect(result.text).toBe("done");
    const [missing, wrong] = shown(model.doGenerateCalls[2]?.prompt ?? []);
    expect(JSON.stringify(missing)).toContain("ENOENT");
    expect(JSON.stringify(wrong)).toContain("path");
  });

  test("images and sounds reach the model as files, unknown bytes as a note", async () => {
    const backend = new MemoryBackend();
    const bytes = Buffer.from([1, 2, 3, 250]);
    for (const name of ["a.png", "a.mp3", "a.bin"]) await backend.write(name, bytes);
    const calls = ["a.png", "a.mp3", "a.bin"].map((path): [string, Record<string, unknown>] => [
      "read_media_file",
      { path },
    ]);
    const model = scripted({ calls }, { text: "done" });
    const tools = await (await backend.getMCPClient()).tools();
    await generateText({ model, tools, stopWhen, prompt: "go" });
    const file = (mediaType: string) => ({
      type: "content",
      value: [
        {
          type: "file",
          mediaType,
          data: { type: "data", data: bytes.toString("base64") },
        },
      ],
    });
    expect(shown(model.doGenerateCalls[1]?.prompt ?? [])).toEqual([
      file("image/png"),
      file("audio/mpeg"),
      text(expect.stringMatching(/a\.bin: 4 bytes of application\/octet-stream/) as never),
    ]);
  });

  test("shows a file as each version of the AI SDK takes it", async () => {
    const backend = new MemoryBackend({ initialData: { "a.png": Buffer.from("x") } });
    const tool = (tools: AISDKToolSet) => {
      const found = tools["read_media_file"];
      if (found === undefined) throw new Error("there is no read_media_file");
      return found;
    };
    const client = await backend.getMCPClient();
    const data = Buffer.from("x").toString("base64");
    const part = { data, mediaType: "image/png" };
    const run = async (options: object | undefined, wrap: (output: unknown) => object) => {
      const one = tool(await client.tools());
      const output = await one.execute({ path: "a.png" }, options as never);
      return one.toModelOutput(wrap(output) as never).value;
    };
    const wrapped = (output: unknown) => ({ toolCallId: "1", input: {}, output });
    expect(await run({ context: {} }, wrapped)).toEqual([
      { type: "file", mediaType: "image/png", data: { type: "data", data } },
    ]);
    expect(await run({ experimental_context: undefined }, wrapped)).toEqual([
      { type: "image-data", ...part },
    ]);
    expect(await run(undefined, wrapped)).toEqual([{ type: "image-data", ...part }]);
    expect(await run({ experimental_context: undefined }, (output) => output as object)).toEqual([
      { type: "media", ...part },
    ]);
  });

  test.each(Object.entries(makers))("an abort ends the command of %s", async (_, toolsOf) => {
    const backend = await localBackend();
    const tools: ToolSet = await toolsOf(backend);
    for (const run of [
      (abortSignal: AbortSignal, model: ReturnType<typeof scripted>) =>
        generateText({ model, tools, stopWhen, prompt: "go", abortSignal }),
      async (abortSignal: AbortSignal, model: ReturnType<typeof scripted>) =>
        streamText({
          model,
          tools,
          stopWhen,
          prompt: "go",
          abortSignal,
          onError: () => {},
        }).consumeStream(),
    ]) {
      await backend.rm("pid", { force: true });
      const abort = new AbortController();
      const model = scripted(
        { calls: [["exec", { command: "echo $$ > pid; sleep 60" }]] },
        { text: "never said" },
      );
      const ended = Promise.resolve(run(abort.signal, model)).catch(() => {});
      const pid = await pidIn(backend, "pid");
      abort.abort();
      await eventually(() => !isAlive(pid));
      await ended;
    }
  });

  test("after the client was closed a tool is an error of the AI SDK, not a hang", async () => {
    const backend = new MemoryBackend();
    const client = await backend.getMCPClient();
    const tools = await client.tools();
    await client.close();
    const model = scripted({ calls: [["read_text_file", { path: "a" }]] }, { text: "done" });
    await generateText({ model, tools, stopWhen, prompt: "go" });
    expect(JSON.stringify(shown(model.doGenerateCalls[1]?.prompt ?? []))).toContain("closed");
    cleanUp(() => backend.destroy());
  });
});
