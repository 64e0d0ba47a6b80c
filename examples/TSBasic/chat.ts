// A chat in the terminal with an agent that works in a workspace: it lists, reads, writes and edits files there and
// runs commands, all through the tools that agent-backend hands to the AI SDK.
//
//   npm start                        you ask, until `exit` or Ctrl-D
//   npm start -- "one question"      one answer
//   npm start < questions.txt        an answer to each line
import { createInterface } from "node:readline";
import { LocalFilesystemBackend } from "agent-backend";
import { isStepCount, type LanguageModel, type ModelMessage, streamText } from "ai";
import { scriptedModel } from "./scripted-model.ts";
import { showCall, showNote, showQuestion, showResult, write } from "./terminal.ts";

const { AGENT_MODEL, AGENT_WORKSPACE = "workspace" } = process.env;
const { OPENAI_API_KEY, ANTHROPIC_API_KEY } = process.env;

const INSTRUCTIONS = `You are a programmer. Your tools work in a directory of their own, which all paths are relative to.
Say in a sentence what you are about to do, try what you write by running it, and answer briefly.`;

// The workspace: a directory that the agent's tools do not leave, whatever the model comes up with.
const backend = new LocalFilesystemBackend({ rootDir: AGENT_WORKSPACE });
const mcp = await backend.getMCPClient();
const tools = await mcp.tools();
const model = await chooseModel();

const question = process.argv.slice(2).join(" ");
const interactive = question === "" && process.stdin.isTTY;
const lines = createInterface({
  input: process.stdin,
  terminal: interactive,
  ...(interactive && { output: process.stdout, prompt: "\n› " }),
});

/** What was said so far, by both sides and by the tools. */
const messages: ModelMessage[] = [];
/** Ends the turn that is running, if one is. */
let running: AbortController | undefined;

lines.on("SIGINT", interrupt);
process.on("SIGINT", interrupt);
try {
  await chat();
} finally {
  lines.close();
  // Closes the client, and ends what the agent left running.
  await backend.destroy();
}

/** A provider's model where there is a key for it, else the scripted one. Providers are loaded only when needed. */
async function chooseModel(): Promise<LanguageModel> {
  if (OPENAI_API_KEY) {
    const { openai } = await import("@ai-sdk/openai");
    return openai(AGENT_MODEL ?? "gpt-5.6");
  }
  if (ANTHROPIC_API_KEY) {
    const { anthropic } = await import("@ai-sdk/anthropic");
    return anthropic(AGENT_MODEL ?? "claude-sonnet-5-5");
  }
  return scriptedModel;
}

/** One turn for each question. Without somebody to ask again, the first that fails or is cancelled is the last. */
async function chat(): Promise<void> {
  const name = typeof model === "string" ? model : `${model.provider} ${model.modelId}`;
  showNote(`model: ${name}; workspace: ${backend.rootDir} (isolation: ${backend.isolation})`);
  for await (const asked of questions()) {
    if (asked === "exit") break;
    if (asked === "") continue;
    if (!interactive) showQuestion(asked);
    const code = await turn(asked);
    if (interactive || code === 0) continue;
    process.exitCode = code;
    break;
  }
}

/** The question of the command line, or else a line at a time. */
async function* questions(): AsyncGenerator<string> {
  if (question !== "") {
    yield question;
    return;
  }
  let open = true;
  lines.once("close", () => {
    open = false;
    if (interactive) write("\n");
  });
  if (interactive) lines.prompt();
  for await (const line of lines) {
    yield line.trim();
    if (interactive && open) lines.prompt();
  }
}

/** All that the agent does about one question. Gives the exit code of a program that asks nothing else. */
async function turn(content: string): Promise<number> {
  running = new AbortController();
  const { signal } = running;
  const asked = { role: "user", content } as const;
  try {
    const result = streamText({
      model,
      tools,
      instructions: INSTRUCTIONS,
      messages: [...messages, asked],
      stopWhen: isStepCount(30),
      abortSignal: signal,
      onError: () => {}, // It is part of the stream, too.
    });
    for await (const part of result.stream) {
      if (part.type === "text-delta") write(part.text);
      if (part.type === "tool-call") showCall(part.toolName, part.input);
      if (part.type === "tool-result") showResult(part.output);
      if (part.type === "tool-error" && !signal.aborted) showNote(`failed: ${part.error}`);
      if (part.type === "error") throw part.error;
    }
    signal.throwIfAborted();
    messages.push(asked, ...(await result.responseMessages));
    write("\n");
    return 0;
  } catch (error) {
    // The turn is forgotten: a history in which calls have no results is one that models refuse.
    showNote(signal.aborted ? "cancelled" : `failed: ${error}`);
    return signal.aborted ? 130 : 1;
  } finally {
    running = undefined;
  }
}

/** Ctrl-C: ends the turn, and with it the command that runs for it. Where none runs, or once more: leaves. */
function interrupt(): void {
  if (running === undefined) lines.close();
  else if (!running.signal.aborted) running.abort();
  else void backend.destroy().finally(() => process.exit(130));
}
