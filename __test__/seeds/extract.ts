// Finds the TypeScript samples in the texts that the project implements.

/** One sample, as it stands in a text. */
export interface Sample {
  /** Name of the text and number of the sample in it, counted from 1, such as `000#3`. */
  id: string;
  code: string;
}

/** Samples of a Markdown text: fenced blocks under a summary that says TypeScript, and blocks that say so themselves. */
function fenced(text: string): string[] {
  const samples: string[] = [];
  let language: string | undefined;
  let underTypeScript = false;
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    const fence = /^```(\w*)/.exec(line);
    if (fence === null) {
      lines.push(line);
      const summary = /<summary>(.*)<\/summary>/.exec(line);
      if (summary !== null) underTypeScript = summary[1] === "TypeScript";
      if (line.includes("</details>")) underTypeScript = false;
    } else if (language === undefined) {
      language = fence[1] ?? "";
      lines = [];
    } else {
      if (underTypeScript || language === "typescript") samples.push(lines.join("\n"));
      language = undefined;
    }
  }
  return samples;
}

const STARTS = /^(import (type )?\{|const \w+ =|function \w+\(|await |try \{|\/\/ )/;

/** Where a text without marks goes over from code to prose, or to the next sample: both stand there without a space. */
const SEAM =
  /(?<=[)};])(?=[A-Z][a-z]|import |const |\/\/ )|(?<=[a-z])(?=import \{|const \w+ =)|(?<=\/\/ .*[a-z])(?=[A-Z][a-z]+ [a-z])/;

/** Samples of a text whose marks were lost: from a line that begins like code to the seam where prose goes on. */
function unmarked(text: string): string[] {
  const samples: string[] = [];
  let lines: string[] | undefined;
  for (const line of text.split("\n")) {
    const [head = "", ...rest] = line.split(SEAM);
    if (lines === undefined && STARTS.test(head)) lines = [];
    lines?.push(head);
    for (const next of rest) {
      if (lines !== undefined) samples.push(lines.join("\n"));
      lines = STARTS.test(next) ? [next] : undefined;
    }
  }
  return samples;
}

/** All samples of a text, in order. */
export function samplesOf(name: string, text: string): Sample[] {
  const codes = text.includes("```") ? fenced(text) : unmarked(text);
  return codes.map((code, index) => ({ id: `${name}#${index + 1}`, code: code.trim() }));
}
