// Ben's agent analyses data with python3.
import { chapter, check, quote } from "./narrator.mjs";

const PROGRAM = `
import csv, json, statistics, sys
totals = {}
for row in csv.DictReader(open("sales.csv", encoding="utf-8")):
    totals.setdefault(row["region"], []).append(float(row["amount"]))
print(json.dumps({region: round(statistics.mean(seen), 2) for region, seen in sorted(totals.items())}, ensure_ascii=False))
print("rows read:", sum(map(len, totals.values())), file=sys.stderr)
`;

export async function analyse(ben) {
  chapter("Ben: python3");
  const rows = Array.from(
    { length: 3000 },
    (_, at) => `${["Köln", "São Paulo", "東京"][at % 3]},${at % 100}.5`,
  );
  await ben.write("sales.csv", `region,amount\n${rows.join("\n")}\n`);
  await ben.write("analysis.py", PROGRAM);
  const result = await ben.run("python3 analysis.py");
  quote(result.stdout);
  quote(result.stderr);
  check("the program ran", result.exitCode === 0);
  check("standard error is kept apart", result.stderr === "rows read: 3000");
  check("text of all languages arrives", Object.keys(JSON.parse(result.stdout)).includes("東京"));

  const doubled = await ben.exec("python3 -c 'print(int(input()) * 2)'", { stdin: "21\n" });
  check("a command reads what it is given", doubled === "42");
  check("and nothing when it is given nothing", (await ben.exec("cat")) === "");

  chapter("Ben: bounds");
  const lines = [];
  const loud = await ben.run("seq 1 200000", {
    maxOutputLength: 2000,
    onStdout: (chunk) => lines.push(chunk.length),
  });
  check(
    "of too much output, head and tail are kept",
    loud.truncated && loud.stdout.startsWith("1\n") && loud.stdout.endsWith("200000"),
  );
  const streamed = lines.reduce((sum, length) => sum + length, 0);
  check("all of it was streamed as it came", streamed === 1_288_895);

  const started = performance.now();
  const late = await ben.run("sleep 60 & sleep 60", { timeoutMs: 300 }).catch((error) => error);
  const took = performance.now() - started;
  check(`a command that takes too long is ended (${took.toFixed(0)} ms)`, took < 5000);
  check("and says so", late.code === "TIMEOUT");

  const background = await ben.spawn("cat; echo done", { stdin: "pipe" });
  await background.write("fed while it runs\n");
  background.closeStdin();
  const ended = await background.wait();
  check("a background command is fed and awaited", ended.stdout === "fed while it runs\ndone");
}
