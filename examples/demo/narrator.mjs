// Tells what happens and checks that it is so: a line that does not hold makes the demo fail.

const colours = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
const paint = (code, text) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);

let shown = 0;
const wrong = [];

export function chapter(title) {
  console.log(`\n${paint("1", title)}`);
}

export function say(text) {
  for (const line of text.split("\n")) console.log(`  ${line}`);
}

/** Shows output of a command or a diff, at most `most` lines of it. */
export function quote(text, most = 12) {
  const lines = text.trimEnd().split("\n");
  for (const line of lines.slice(0, most)) console.log(paint("2", `    │ ${line}`));
  if (lines.length > most) console.log(paint("2", `    │ … ${lines.length - most} more lines`));
}

/** States something that must hold. */
export function check(statement, holds) {
  shown += 1;
  if (!holds) wrong.push(statement);
  console.log(`  ${holds ? paint("32", "✓") : paint("31", "✗")} ${statement}`);
}

/** States that a call is refused with this code, and shows the reason that a caller sees. */
export async function refused(statement, code, call) {
  try {
    const value = await call();
    check(`${statement}: refused (it was not: ${String(value).slice(0, 80)})`, false);
  } catch (error) {
    check(`${statement}: ${error.code}`, error.code === code);
    if (error.code !== code) say(`expected ${code}`);
    quote(error.message, 2);
  }
}

/** Names what this machine cannot show. */
export function leftOut(what, why) {
  console.log(`  ${paint("33", "–")} not shown: ${what} (${why})`);
}

/** The last line, and the exit status. */
export function conclude() {
  console.log("");
  for (const statement of wrong) console.log(`${paint("31", "✗")} ${statement}`);
  console.log(
    wrong.length === 0
      ? `demo: all ${shown} statements hold`
      : `demo: ${wrong.length} of ${shown} statements do not hold`,
  );
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
