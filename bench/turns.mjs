// Subjects that take turns, and the median of each. One that cannot be opened or fails at work is left out with its
// reason; the others are measured all the same.
import { Subject } from "./process.mjs";
import { median } from "./statistics.mjs";

/** One line, without the name that a child puts before it. */
const reasonOf = ({ name }, { message }) => message.split("\n", 1)[0].replace(`${name}: `, "");

/**
 * Opens one child per subject and gives those that opened to `measure`.
 * @param {string[]} names
 * @param {(name: string) => object} optionsOf what each is opened with
 * @param {(subjects: Subject[]) => Promise<object>} measure its result is given back, with who is `absent`
 */
export async function withSubjects(names, optionsOf, measure) {
  const subjects = [];
  const opened = [];
  const absent = [];
  try {
    for (const name of names) {
      const one = new Subject(name);
      subjects.push(one);
      try {
        await one.ask("open", { name, ...optionsOf(name) });
        opened.push(one);
      } catch (error) {
        absent.push({ name, reason: reasonOf(one, error) });
      }
    }
    const measured = await measure(opened);
    return { ...measured, absent: [...absent, ...(measured.absent ?? [])] };
  } finally {
    await Promise.all(subjects.map((one) => one.end()));
  }
}

/**
 * The median of what `once` gives for each subject, over rounds in which they take turns.
 * @template {{ name: string }} Named
 * @param {number} rounds
 * @param {Named[]} subjects
 * @param {(one: Named) => Promise<number>} once
 * @param {{ warmUp?: boolean, few?: Record<string, number> }} [options] `warmUp`: a first round that is not counted;
 *   `few`: how often those take part whose turn is so long that more would cost minutes, without warming up
 */
export async function inTurns(rounds, subjects, once, { warmUp = false, few = {} } = {}) {
  const seen = new Map(subjects.map((one) => [one, []]));
  const absent = [];
  for (let round = warmUp ? 0 : 1; round <= rounds; round += 1) {
    for (const [one, values] of seen) {
      const limit = few[one.name];
      if (values.length >= (limit ?? rounds)) continue;
      try {
        const value = await once(one);
        if (round > 0 || limit !== undefined) values.push(value);
      } catch (error) {
        absent.push({ name: one.name, reason: reasonOf(one, error) });
        seen.delete(one);
      }
    }
  }
  const values = [...seen].map(([one, numbers]) => [one.name, median(numbers)]);
  return { values: Object.fromEntries(values), absent };
}
