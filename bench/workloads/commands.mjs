// Commands: `true` through the shell, one after another and 16 at once, in a small process and in one with 1 GiB of heap.
import { NODE, OURS, PEER } from "../subjects.mjs";

export const sixteen = (subject) =>
  Promise.all(Array.from({ length: 16 }, () => subject.exec("true")));

const sequence = async (subject, count) => {
  for (let at = 0; at < count; at += 1) await subject.exec("true");
};
const atOnce = async (subject, count) => {
  for (let at = 0; at < count; at += 16) await sixteen(subject);
};

const everyone = { subjects: [OURS, PEER, NODE], unit: "ms", prepare: () => {} };

export const commands = [
  {
    ...everyone,
    name: "exec('true'), one after another",
    on: { ext4: { atLeast: 3 } },
    count: 10,
    run: sequence,
  },
  {
    ...everyone,
    name: "exec('true'), 16 at once",
    on: { ext4: { atLeast: 5 } },
    count: 32,
    step: 16,
    run: atOnce,
  },
  {
    ...everyone,
    name: "exec('true') with 1 GiB of heap",
    heap: true,
    on: { ext4: { sameAs: "exec('true'), one after another", within: 0.1 } },
    count: 10,
    run: sequence,
  },
  {
    ...everyone,
    name: "16 at once with 1 GiB of heap",
    heap: true,
    on: { ext4: { sameAs: "exec('true'), 16 at once", within: 0.1 } },
    count: 32,
    step: 16,
    run: atOnce,
  },
];
