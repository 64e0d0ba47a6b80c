// Boots a small Debian in an emulated machine, installs the unit by the commands at its head, and looks at the daemon
// under a real systemd with control groups of version 2: that the sandbox works inside the unit's wall, limits hold by
// control groups, a command that is ended for its memory ends nothing else, and it reloads and stops.
//
// Needs root, debootstrap, QEMU and mkfs.ext4, and x86-64; see `make test-systemd`.
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const base = mkdtempSync(path.join(tmpdir(), "agent-backend-systemd-"));
const root = path.join(base, "root");
const inRoot = (name) => path.join(root, name);
const unit = readFileSync(here("deploy/agent-backend.service"), "utf8");
let held = 0;

function holds(statement, isTrue, detail = "") {
  if (!isTrue) throw new Error(`it does not hold that ${statement}: ${detail}`);
  held += 1;
  console.log(`✓ ${statement}`);
}

/** What is run by the daemon, by the name of its answer. */
const commands = {
  identity: "id -un; cat /proc/self/cgroup; ls /opt/probe /etc/agent-backend 2>&1; ps ax | wc -l",
  files:
    'echo kept > file; cat file; echo x > /tmp/own; cat /tmp/own; perl -e \'open(F, ">", "/usr/share/x") or die $!\'',
  network:
    'perl -MIO::Socket::INET -e \'$s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1:" . $s->sockport) or die; print "met"\'',
  devices: "head -c 4 /dev/urandom | wc -c; script -qec 'test -t 0 && echo terminal' /dev/null",
  forks:
    'perl -e \'for (1 .. 600) { $p = fork; die "refused" unless defined $p; if (!$p) { sleep 30; exit } } print "all"\'',
  memory: "perl -e '$x = \"a\" x (200 << 20); print length $x'",
  after: "echo still there",
};

const call = (command) =>
  JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name: "exec", arguments: { command } },
  });

/** What the machine does, as root, and says on its console. */
const probe = `#!/bin/sh
exec >/dev/ttyS0 2>&1
cd /opt/probe
say() { printf '\\n@@ %s\\n' "$*"; }
say installed "$(sh -ec '. ./install.sh' >install.log 2>&1; echo $?)"
well() { for i in $(seq 60); do agent-backend health && return; sleep 1; done >/dev/null 2>&1; }
run() { say $1 "$(curl -sS -H "Authorization: Bearer $(cat /etc/agent-backend/token)" -H 'Accept: application/json' \\
  -H 'Content-Type: application/json' -d @/opt/probe/$1.json http://127.0.0.1:3001/mcp)"; }
group=/sys/fs/cgroup/system.slice/agent-backend.service
well
say active "$(systemctl is-active agent-backend)"
for name in identity files network devices forks; do run $name; done
say controllers "$(cat $group/cgroup.subtree_control)"
mkdir -p /etc/systemd/system/agent-backend.service.d
cp limits.conf /etc/systemd/system/agent-backend.service.d/
systemctl daemon-reload; systemctl restart agent-backend; well
before=$(systemctl show -p MainPID --value agent-backend)
run memory; run after
say same "$before $(systemctl show -p MainPID --value agent-backend)"
systemctl reload agent-backend
say reloaded "$? $(systemctl is-active agent-backend)"
systemctl stop agent-backend
say stopped "$(systemctl show -p Result -p ExecMainStatus --value agent-backend | tr '\\n' ' ')"
say groups "$(ls -d $group 2>/dev/null)"
say log "$(journalctl -u agent-backend --no-pager -o cat | grep -c -i panic) $(cat install.log | tr '\\n' ' ')"
poweroff -f
`;

function makeMachine() {
  console.log("making a machine");
  const packages =
    "systemd,systemd-sysv,dbus,bubblewrap,openssl,curl,procps,bsdutils,linux-image-cloud-amd64,initramfs-tools,zstd";
  execFileSync("debootstrap", ["--variant=minbase", `--include=${packages}`, "bookworm", root], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  mkdirSync(inRoot("opt/probe"));
  chmodSync(inRoot("opt/probe"), 0o700);
  cpSync(here("bin/agent-backend"), inRoot("opt/probe/agent-backend"));
  spawnSync("strip", [inRoot("opt/probe/agent-backend")]);
  cpSync(here("deploy/agent-backend.service"), inRoot("opt/probe/agent-backend.service"));
  const printed = [...unit.matchAll(/^# {3}(.*)$/gm)].map(([, line]) => line);
  writeFileSync(inRoot("opt/probe/install.sh"), `${printed.join("\n")}\n`);
  for (const [name, command] of Object.entries(commands)) {
    writeFileSync(inRoot(`opt/probe/${name}.json`), call(command));
  }
  const start = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(unit)?.[1] ?? "";
  const limits = `[Service]\nExecStart=\nExecStart=${start} --limit memory=64M --limit cpus=0.5\n`;
  writeFileSync(inRoot("opt/probe/limits.conf"), limits);
  writeFileSync(inRoot("opt/probe/probe.sh"), probe);
  chmodSync(inRoot("opt/probe/probe.sh"), 0o755);
  const units = inRoot("etc/systemd/system");
  const service = "[Unit]\nAfter=multi-user.target\n[Service]\nExecStart=/opt/probe/probe.sh\n";
  writeFileSync(path.join(units, "probe.service"), service);
  mkdirSync(path.join(units, "multi-user.target.wants"), { recursive: true });
  symlinkSync("../probe.service", path.join(units, "multi-user.target.wants/probe.service"));
  // The console is ours.
  symlinkSync("/dev/null", path.join(units, "serial-getty@ttyS0.service"));
}

/** Boots it and gives what it said, by name. */
function boot() {
  console.log("booting it");
  const boots = readdirSync(inRoot("boot"));
  const kernel = (prefix) => inRoot(`boot/${boots.find((name) => name.startsWith(prefix))}`);
  const [disk, log] = [path.join(base, "disk"), path.join(base, "log")];
  execFileSync("truncate", ["--size", "3G", disk]);
  execFileSync("mkfs.ext4", ["-q", "-d", root, disk]);
  const machine = ["-accel", process.env.QEMU_ACCEL ?? "tcg", "-cpu", "max", "-smp", "2"];
  const parts = ["-m", "1024", "-nic", "none", "-drive", `file=${disk},format=raw,if=virtio`];
  const console_ = ["-display", "none", "-monitor", "none", "-serial", `file:${log}`];
  const line = "root=/dev/vda rw console=ttyS0 quiet loglevel=0 systemd.show_status=0";
  const start = ["-kernel", kernel("vmlinuz"), "-initrd", kernel("initrd"), "-append", line];
  const all = ["-no-reboot", ...machine, ...parts, ...console_, ...start];
  const { error } = spawnSync("qemu-system-x86_64", all, {
    stdio: ["ignore", "ignore", "inherit"],
    timeout: 600_000,
    killSignal: "SIGKILL",
  });
  // The kernel says on the same console when it ends a process for its memory.
  const text = readFileSync(log, "utf8")
    .replaceAll("\r", "")
    .replaceAll(/^\[ *\d.*\n/gm, "");
  if (error !== undefined) throw new Error(`${error.message}\n${text.slice(-4000)}`);
  const said = new Map();
  for (const [, name, answer] of text.matchAll(/^@@ (\w+) ?(.*(?:\n(?!@@).*)*)/gm)) {
    said.set(name, answer.trim());
  }
  return (name) => said.get(name) ?? `nothing was said about ${name}: ${text.slice(-4000)}`;
}

function main() {
  makeMachine();
  const said = boot();
  const ran = (name) => {
    const line = /^\{"jsonrpc".*$/m.exec(said(name))?.[0];
    if (line === undefined) throw new Error(`${name}: ${said(name)}`);
    const { result } = JSON.parse(line);
    return { ...result.structuredContent, text: result.content[0].text };
  };
  holds("the commands at the unit's head run", said("installed") === "0", said("log"));
  holds("the daemon is active", said("active") === "active", said("active"));
  const identity = ran("identity").stdout ?? "";
  holds("commands run, and not as root", identity.startsWith("agent-backend\n"), identity);
  holds(
    "and see neither the token nor the files of others",
    !/token|install/.test(identity),
    identity,
  );
  const files = ran("files");
  holds("they write in the workspace and in /tmp", /^kept\nx\n?$/.test(files.stdout), files.text);
  holds("and nowhere else", /Read-only/.test(files.stderr), files.text);
  holds("they have a network", ran("network").stdout === "met", ran("network").text);
  const devices = ran("devices").stdout;
  holds("devices and terminals", /^4\s+terminal/.test(devices), ran("devices").text);
  holds(
    "the unit's group is divided",
    said("controllers").split(" ").sort().join() === "cpu,memory,pids",
    said("controllers"),
  );
  holds("one process too many ends the command", ran("forks").limit === "processes", said("forks"));
  holds("so does memory", ran("memory").limit === "memory", said("memory"));
  const [before, after] = said("same").split(" ");
  holds("and the daemon goes on", before === after && ran("after").stdout === "still there");
  holds("it reloads", said("reloaded") === "0 active", said("reloaded"));
  holds("it stops well", /^success 0$|^0 success$/.test(said("stopped")), said("stopped"));
  holds("it leaves no group", said("groups") === "", said("groups"));
  holds("nothing panicked", said("log").startsWith("0"), said("log"));
  console.log(`${held} statements hold`);
}

let failed = false;
try {
  main();
} catch (error) {
  failed = true;
  console.error(error);
} finally {
  rmSync(base, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
