// Finds the option that somebody meant who spelt it wrong: ignoring it would leave a time limit or a wall away in silence.

/** Names that are longer than the meant one's by more than this are names of something else. */
const MOST_EDITS = 2;

/** The known name that a name was probably meant to be; `undefined` where it resembles none. */
export function likely(name: string, known: readonly string[]): string | undefined {
  const lower = name.toLowerCase().replace(/[^a-z0-9]/g, "");
  return known.find((candidate) => {
    const other = candidate.toLowerCase();
    // `timeout` for `timeoutMs`, or the other way round; of short names one letter is already another word.
    const unit = `${lower}ms` === other || lower === `${other}ms`;
    const allowed = Math.min(MOST_EDITS, Math.floor(other.length / 4));
    return lower === other || unit || (allowed > 0 && edits(lower, other, allowed) <= allowed);
  });
}

/** How many letters have to be added, removed or replaced, or neighbours swapped; more than `most` as `most + 1`. */
function edits(from: string, to: string, most: number): number {
  if (Math.abs(from.length - to.length) > most) return most + 1;
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const at = (line: number[], index: number): number => line[index] ?? 0;
      const differs = from[i - 1] === to[j - 1] ? 0 : 1;
      let least = Math.min(at(row, j) + 1, at(next, j - 1) + 1, at(row, j - 1) + differs);
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (swapped) least = Math.min(least, at(before, j - 2) + 1);
      next.push(least);
    }
    [before, row] = [row, next];
  }
  return row[to.length] ?? most + 1;
}
