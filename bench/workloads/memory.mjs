// The memory backend against the published one and an async function over a JS Map.
import { NODE, OURS, PEER } from "../subjects.mjs";

const KIB = "m".repeat(1024);

const KEYS = 100_000;
const keyOf = (at) => (at % 1000 === 0 ? `wanted/${at}` : `session/${at % 977}/${at}`);

/** 100,000 keys, 100 of them below `wanted/`. */
export const keys = () =>
  Object.fromEntries(Array.from({ length: KEYS }, (_, at) => [keyOf(at), KIB]));

/** One key after another in an order without a pattern, each made anew, as a caller makes `session/${id}`. */
const anyKey = (at) => keyOf((at * 7919) % KEYS);

const everyone = { subjects: [OURS, PEER, NODE], as: "memory", prepare: () => {} };

export const memory = [
  {
    ...everyone,
    name: "memory: list 100 of 100,000 keys",
    on: { memory: { atLeast: 100 } },
    count: 20,
    run: async (subject, count) => {
      for (let at = 0; at < count; at += 1) {
        const found = await subject.list("wanted/");
        if (found.length !== 100) throw new Error(`listed ${found.length} of 100`);
      }
    },
  },
  {
    ...everyone,
    name: "memory: read 1 KiB",
    on: { memory: { atMost: 2.5, versus: NODE } },
    count: 20_000,
    run: async (subject, count) => {
      for (let at = 0; at < count; at += 1) await subject.read(anyKey(at));
    },
  },
  {
    ...everyone,
    name: "memory: write 1 KiB",
    on: { memory: { atMost: 4, versus: NODE } },
    count: 20_000,
    run: async (subject, count) => {
      for (let at = 0; at < count; at += 1) await subject.write(anyKey(at), KIB);
    },
  },
];
