// What the chat shows. Text of models, files and commands is not to be trusted with a terminal: control characters in it
// could move the cursor, change what was shown or forge a line, so they are shown as what they are.
import type { CallToolResult } from "agent-backend";

const MOST_LINES = 8;
/** What fits on a line; a terminal may not know how much that is. */
const MOST_CHARACTERS = (process.stdout.columns || 120) - 8;

const colours = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
const paint = (code: number, text: string): string =>
  colours ? `\u001b[${code}m${text}\u001b[0m` : text;

const CONTROL = /(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu;

/** The text with its control characters escaped, but for line breaks and tabs. */
const printable = (text: string): string =>
  text.replace(CONTROL, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`);

const cut = (text: string): string =>
  text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;

let lineIsEmpty = true;

/** Writes text as it comes. */
export function write(text: string): void {
  if (text === "") return;
  process.stdout.write(printable(text));
  lineIsEmpty = text.endsWith("\n");
}

/** A line of its own, whatever was written before. */
function show(code: number, line: string): void {
  process.stdout.write(`${lineIsEmpty ? "" : "\n"}${paint(code, line)}\n`);
  lineIsEmpty = true;
}

/** Something about the chat itself. */
export const showNote = (text: string): void => show(2, `(${printable(text)})`);

/** A question that was not typed here. */
export const showQuestion = (text: string): void => show(1, `\n› ${printable(text)}`);

/** A tool and what it was called with, on one line. */
export const showCall = (name: string, input: unknown): void =>
  show(36, `  ● ${printable(cut(`${name} ${JSON.stringify(input)}`))}`);

/** The beginning of what a tool answered. */
export function showResult(output: unknown): void {
  const { content, isError } = output as CallToolResult;
  const text = content.map((block) => (block.type === "text" ? block.text : `(${block.type})`));
  const lines = (text.join("\n").trimEnd() || "(nothing)").split(/\r?\n/);
  const code = isError ? 31 : 2;
  for (const line of lines.slice(0, MOST_LINES)) show(code, `    │ ${printable(cut(line))}`);
  if (lines.length > MOST_LINES) show(code, `    │ … ${lines.length - MOST_LINES} more lines`);
}
