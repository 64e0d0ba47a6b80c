// A language model that needs neither key nor network. It plays one script: look around, write a program, run it, find
// the bug, fix it, run it again, answer. Like a real one it decides each step by what the tools answered.
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { LanguageModel } from "ai";

type Model = Extract<LanguageModel, { specificationVersion: "v4" }>;
type Options = Parameters<Model["doStream"]>[0];
type Stream = Awaited<ReturnType<Model["doStream"]>>["stream"];
type Part = Stream extends ReadableStream<infer P> ? P : never;

/** What the model says, and the tool that it then wants to be called. */
interface Step {
  text: string;
  tool?: string;
  input?: object;
}

const FILE = "primes.mjs";
const BUG = "divisor * divisor < number";
const FIX = "divisor * divisor <= number";
const PROGRAM = `const primes = [];
for (let number = 2; number < 30; number++) {
  let isPrime = true;
  for (let divisor = 2; ${BUG}; divisor++) {
    if (number % divisor === 0) isPrime = false;
  }
  if (isPrime) primes.push(number);
}
console.log(primes.join(" "));
`;

const look: Step = {
  text: "I play a script, so whatever you ask, I compute primes. First a look at what is there.",
  tool: "list_directory",
  input: { path: "." },
};
const program: Step = {
  text: `I write ${FILE}.`,
  tool: "write_file",
  input: { path: FILE, content: PROGRAM },
};
const run: Step = { text: "Now I run it.", tool: "exec", input: { command: `node ${FILE}` } };
const wait: Step = {
  text: "I wait for a minute. Ctrl-C cancels that.",
  tool: "exec",
  input: { command: "sleep 60" },
};

/** The next step: by the tool that answered last, or by the question where none did. */
function nextStep(prompt: Options["prompt"]): Step {
  const { tool, text } = latest(prompt);
  if (tool === undefined) return /\bwait\b/i.test(text) ? wait : look;
  if (tool === "list_directory") return text.includes(`[FILE] ${FILE}`) ? run : program;
  if (tool === "write_file" && text.startsWith("Successfully")) return run;
  if (tool === "edit_file" && !text.startsWith("Could not")) return run;
  if (tool === "exec" && text === "") return { text: "The minute is over." };
  if (tool === "exec" && /^[\d ]+$/.test(text)) return judge(text.split(" ").map(Number));
  return { text: `That is not what I expected: ${text}` };
}

/** Fixes the program where its output has a number that is no prime. */
function judge(numbers: number[]): Step {
  const wrong = numbers.find((number) => [2, 3, 5].some((p) => number > p && number % p === 0));
  if (wrong === undefined) {
    return { text: `The primes below 30 are ${numbers.join(", ")}. ${FILE} computes them.` };
  }
  return {
    text: `${wrong} is no prime: the loop stops one divisor early. I fix that.`,
    tool: "edit_file",
    input: { path: FILE, edits: [{ oldText: BUG, newText: FIX }] },
  };
}

/** The last message: what a tool answered, or the question. */
function latest(prompt: Options["prompt"]): { tool?: string; text: string } {
  const message = prompt.at(-1);
  if (message?.role === "user") {
    return { text: message.content.map((part) => ("text" in part ? part.text : "")).join("") };
  }
  const result = message?.role === "tool" ? message.content.at(-1) : undefined;
  if (result?.type !== "tool-result") return { text: "" };
  const { toolName: tool, output } = result;
  if (output.type !== "content") return { tool, text: JSON.stringify(output) };
  return { tool, text: output.value.map((part) => ("text" in part ? part.text : "")).join("") };
}

/** A step as a stream, word by word, as real models send it. */
async function* stream({ text, tool, input }: Step, signal?: AbortSignal): AsyncGenerator<Part> {
  yield { type: "stream-start", warnings: [] };
  yield { type: "text-start", id: "text" };
  for (const delta of text.split(/(?<= )/)) {
    await pause(15, undefined, { signal });
    yield { type: "text-delta", id: "text", delta };
  }
  yield { type: "text-end", id: "text" };
  if (tool !== undefined) {
    yield {
      type: "tool-call",
      toolCallId: randomUUID(),
      toolName: tool,
      input: JSON.stringify(input),
    };
  }
  yield {
    type: "finish",
    finishReason: { unified: tool === undefined ? "stop" : "tool-calls", raw: undefined },
    usage: {
      inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
      outputTokens: { total: 0, text: 0, reasoning: 0 },
    },
  };
}

/** The model, for `streamText`. */
export const scriptedModel: Model = {
  specificationVersion: "v4",
  provider: "scripted",
  modelId: "primes",
  supportedUrls: {},
  async doStream({ prompt, abortSignal }) {
    return { stream: ReadableStream.from(stream(nextStep(prompt), abortSignal)) };
  },
  async doGenerate() {
    throw new Error("this model only streams");
  },
};
