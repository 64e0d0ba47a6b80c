// Text that came from a workspace, a command or a caller may end up on a terminal or in a log. Control characters in
// it could move the cursor, hide text or forge a line, so whoever prints goes through here.

const UNSAFE = /(?!\n)[\p{Cc}\p{Bidi_Control}]/gu;

const SHORT: Readonly<Record<string, string>> = { "\t": "\\t", "\r": "\\r", "\n": "\\n" };

function escaped(character: string): string {
  return SHORT[character] ?? `\\u{${character.charCodeAt(0).toString(16)}}`;
}

/** The text with C0, C1, ESC, DEL and bidirectional control characters escaped; line breaks stay. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** Like {@link printable}, on one line: line breaks are escaped too. */
export function printableLine(text: string): string {
  return printable(text).replaceAll("\n", "\\n");
}
