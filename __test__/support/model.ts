// A language model that follows a script, from the AI SDK's own mocks: what it does is fixed, what it is shown is kept.

import { convertArrayToReadableStream, MockLanguageModelV4 } from "ai/test";

/** One step of the model: tools to call with their arguments, or a text to end with. */
export type Step = { calls: [name: string, given: Record<string, unknown>][] } | { text: string };

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 1, text: 1, reasoning: undefined },
};

type Generated = Awaited<ReturnType<MockLanguageModelV4["doGenerate"]>>;
type Streamed = Awaited<ReturnType<MockLanguageModelV4["doStream"]>>;
type Part = Streamed["stream"] extends ReadableStream<infer P> ? P : never;

const finishReason = (step: Step) =>
  ({ unified: "text" in step ? "stop" : "tool-calls", raw: undefined }) as const;

function content(step: Step, number: number): Generated["content"] {
  if ("text" in step) return [{ type: "text", text: step.text }];
  return step.calls.map(([toolName, given], index) => ({
    type: "tool-call",
    toolCallId: `call-${number}-${index}`,
    toolName,
    input: JSON.stringify(given),
  }));
}

function parts(step: Step, number: number): Part[] {
  const said: Part[] =
    "text" in step
      ? [
          { type: "text-start", id: "1" },
          { type: "text-delta", id: "1", delta: step.text },
          { type: "text-end", id: "1" },
        ]
      : (content(step, number) as Part[]);
  return [
    { type: "stream-start", warnings: [] },
    ...said,
    { type: "finish", usage, finishReason: finishReason(step) },
  ];
}

/** A model that does one step after the other, for `generateText` and `streamText`. */
export const scripted = (...steps: Step[]): MockLanguageModelV4 =>
  new MockLanguageModelV4({
    doGenerate: steps.map((step, number) => ({
      content: content(step, number),
      finishReason: finishReason(step),
      usage,
      warnings: [],
    })),
    doStream: steps.map((step, number) => ({
      stream: convertArrayToReadableStream(parts(step, number)),
    })),
  });

/** What the model was shown of the tools' answers before a step, in order. */
export function shown(prompt: readonly { role: string; content: unknown }[]): unknown[] {
  return prompt
    .filter(({ role }) => role === "tool")
    .flatMap(({ content }) => content as { output: unknown }[])
    .map(({ output }) => output);
}
