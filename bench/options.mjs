// What the command line asked for. The children get `--quick` too: how large a tree is depends on it.
const argument = process.argv.indexOf("--only");

/** A short run: fewer rounds, smaller batches, smaller trees. */
export const quick = process.argv.includes("--quick");

/** Only the rows whose name contains this. */
export const only = argument < 0 ? "" : process.argv[argument + 1];

/** How many batches of each subject count. */
export const rounds = quick ? 5 : 15;
