//! The table of `docs/security.md`: what was seen in this run, as root and as an ordinary user, compared with what the
//! document says. `AGENT_BACKEND_BLESS=1` writes it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::attack::{Attack, COLUMNS, Canary, Group, How, Reach, Verdict};
use crate::elsewhere::ELSEWHERE;
use crate::groups::GROUPS;
use crate::observe::{sandboxes_start, seen};
use crate::world::open_to_all;

const BEGIN: &str = "<!-- attacks:begin -->\n";
const END: &str = "<!-- attacks:end -->";

const LEGEND: &str = "
A row says what a command tried, and whether the level stopped it; the point is that of the threat model. Commands ran as root,
there also in a tree that root owns, and as an ordinary user: where these differ, both are named, and where a level leaves it to
the rights of the user, only root is. At `none` nearly everything succeeds, which shows that the attacks are real. `–`: not
tried, since it would harm the host or there is no such case. `depends`: not a matter of ours, but of the kernel's settings.
";

/// Where an ordinary user's run leaves what it saw, for the run of root that started it.
const REPORT: &str = "AGENT_BACKEND_TEST_ATTACKS_REPORT";

/// Who the ordinary user is.
pub const ORDINARY: u32 = 1000;

/// Verdicts by group, level and attack.
type Verdicts = BTreeMap<(String, String, String), Verdict>;

#[test]
fn the_table_of_the_document_is_what_was_seen() {
    if !sandboxes_start() {
        return;
    }
    let own = own_verdicts();
    if let Some(path) = std::env::var_os(REPORT) {
        return std::fs::write(path, to_json(&own).to_string()).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document
        .split_once(BEGIN)
        .expect("the mark where the table begins");
    let (table, after) = rest.split_once(END).expect("the mark where the table ends");
    let as_root = rustix::process::geteuid().is_root();
    let (root, user) = if as_root {
        let user = verdicts_of_an_ordinary_user();
        count(&[("root", &own), ("user", &user)]);
        (own, user)
    } else {
        count(&[("user", &own)]);
        (said_of_root(table, &own), own)
    };
    let now = render(&root, &user);
    if std::env::var_os("AGENT_BACKEND_BLESS").is_some() {
        assert!(as_root, "only root sees both columns");
        return std::fs::write(&path, format!("{before}{BEGIN}{now}{END}{after}")).unwrap();
    }
    let differs = |(one, other): &(&str, &str)| one != other;
    let first = table.lines().zip(now.lines()).find(differs);
    assert!(
        table == now,
        "docs/security.md is not what was seen; AGENT_BACKEND_BLESS=1 writes it. First difference (document, seen):\n{first:#?}"
    );
}

fn own_verdicts() -> Verdicts {
    let mut verdicts = Verdicts::new();
    for group in GROUPS {
        for ((level, id), verdict) in seen(group) {
            let key = (group.name.to_owned(), (*level).to_owned(), (*id).to_owned());
            verdicts.insert(key, *verdict);
        }
    }
    verdicts
}

/// Copies of this program and of the launcher that an ordinary user may execute, and a home for it.
pub fn for_an_ordinary_user(base: &Path) -> (PathBuf, PathBuf) {
    open_to_all(base);
    let (program, home) = (base.join("attacks"), base.join("home"));
    // Commands are launched through the other one, which is looked for beside the code.
    let ours = std::env::current_exe().unwrap();
    let launcher = PathBuf::from(env!("CARGO_BIN_EXE_agent-backend"));
    for (from, to) in [(&ours, &program), (&launcher, &base.join("agent-backend"))] {
        std::fs::copy(from, to).unwrap();
        open_to_all(to);
    }
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(ORDINARY), Some(ORDINARY)).unwrap();
    (program, home)
}

/// The whole suite once more, as somebody without rights. Its own tests hold there as well.
fn verdicts_of_an_ordinary_user() -> Verdicts {
    let base = tempfile::tempdir().unwrap();
    let (program, home) = for_an_ordinary_user(base.path());
    let report = home.join("report");
    let mut tests = Command::new("/usr/bin/setpriv");
    let id = ORDINARY.to_string();
    tests.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    tests.arg(&program).env_clear().current_dir(&home);
    tests.env("HOME", &home).env(REPORT, &report);
    tests.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    if let Some(value) = std::env::var_os("CI") {
        tests.env("CI", value);
    }
    let done = tests.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "as an ordinary user: {said}\n{complaint}"
    );
    let report = std::fs::read_to_string(report).expect("an ordinary user's sandboxes start");
    from_json(&serde_json::from_str(&report).unwrap())
}

fn to_json(verdicts: &Verdicts) -> Value {
    let entry = |((group, level, id), verdict): (&(String, String, String), &Verdict)| {
        serde_json::json!([group, level, id, word(*verdict)])
    };
    verdicts.iter().map(entry).collect()
}

fn from_json(value: &Value) -> Verdicts {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = value.as_array().unwrap().iter();
    rows.map(|row| {
        let key = (text(&row[0]), text(&row[1]), text(&row[2]));
        (key, verdict(&text(&row[3])))
    })
    .collect()
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stopped => "stopped",
        Verdict::NotStopped => "**not stopped**",
        Verdict::NotTried => "–",
    }
}

fn verdict(word: &str) -> Verdict {
    match word {
        "stopped" => Verdict::Stopped,
        "**not stopped**" => Verdict::NotStopped,
        _ => Verdict::NotTried,
    }
}

/// The table, the reasons, and where the rest is tested.
fn render(root: &Verdicts, user: &Verdicts) -> String {
    let mut text = String::from(LEGEND);
    text.push_str("\n| point | attack | bwrap | landlock | software | none |\n");
    text.push_str("| ----: | ------ | ----- | -------- | -------- | ---- |\n");
    for (group, attack) in in_order() {
        let cells = COLUMNS.map(|level| cell(group, attack, level, (root, user)));
        text.push_str(&format!(
            "| {} | {} | {} |\n",
            attack.threat,
            attack.tries,
            cells.join(" | ")
        ));
    }
    text.push_str("\nWhat a kernel wall does not stop, and why:\n\n");
    for level in ["bwrap", "landlock"] {
        for (why, attacks) in reasons(level, root, user) {
            text.push_str(&format!("- `{level}`, {why}: {}.\n", attacks.join("; ")));
        }
    }
    text.push_str("\nWhat other suites try, and find stopped whatever the level:\n\n");
    text.push_str("| point | attack | tested in |\n| ----: | ------ | --------- |\n");
    for (threat, attack, file, _) in ELSEWHERE {
        text.push_str(&format!("| {threat} | {attack} | `{file}` |\n"));
    }
    text.push('\n');
    text
}

fn in_order() -> Vec<(&'static Group, &'static Attack)> {
    let mut all: Vec<_> = GROUPS
        .iter()
        .flat_map(|group| group.attacks.iter().map(move |attack| (*group, attack)))
        .collect();
    all.sort_by_key(|(_, attack)| attack.threat);
    all
}

fn cell(group: &Group, attack: &Attack, level: &str, of: (&Verdicts, &Verdicts)) -> String {
    let open = matches!(level, "software" | "none");
    if open && matches!(group.how, How::Program(program) if program.reach != Reach::Host) {
        return "–".to_owned(); // Such a network cannot be had there.
    }
    let may_pass = match level {
        "bwrap" => attack.open_at_bwrap.is_some(),
        "landlock" => attack.open_at_landlock.is_some(),
        _ => true,
    };
    let find = |verdicts: &Verdicts| {
        let key = (
            group.name.to_owned(),
            level.to_owned(),
            attack.id.to_owned(),
        );
        verdicts.get(&key).copied().unwrap_or(Verdict::NotTried)
    };
    let (root, user) = (find(of.0), find(of.1));
    match attack.canary {
        // Not a matter of ours, and not the same on every machine.
        Canary::Depends(_) if may_pass && root != Verdict::NotTried => "depends".to_owned(),
        // What the rights of an ordinary user allow without us is not ours to say.
        Canary::FallsForRoot if may_pass && root == Verdict::NotStopped => {
            "root: **not stopped**".to_owned()
        }
        _ if root == user => word(root).to_owned(),
        _ => format!("root: {}, user: {}", word(root), word(user)),
    }
}

/// The attacks that a level lets pass, by the reason.
fn reasons(
    level: &str,
    root: &Verdicts,
    user: &Verdicts,
) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut reasons: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (group, attack) in in_order() {
        let why = match level {
            "bwrap" => attack.open_at_bwrap,
            _ => attack.open_at_landlock,
        };
        let key = (
            group.name.to_owned(),
            level.to_owned(),
            attack.id.to_owned(),
        );
        let passes = |of: &Verdicts| of.get(&key) == Some(&Verdict::NotStopped);
        if let Some(why) = why
            && (passes(root) || passes(user))
        {
            reasons.entry(why).or_default().push(attack.tries);
        }
    }
    reasons
}

/// What the document says of root, for a run that is not root's: only the other half can be compared.
fn said_of_root(table: &str, own: &Verdicts) -> Verdicts {
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let mut said = own.clone();
    for (group, attack) in in_order() {
        let row = rows.iter().find(|row| row.get(1) == Some(&attack.tries));
        let Some(row) = row else { continue };
        for (column, level) in COLUMNS.iter().enumerate() {
            let cell = row.get(column + 2).copied().unwrap_or_default();
            let of_root = match cell.strip_prefix("root: ") {
                Some(halves) => halves.split(", user: ").next().unwrap_or_default(),
                None => cell,
            };
            if of_root != "depends" {
                let key = (
                    group.name.to_owned(),
                    (*level).to_owned(),
                    attack.id.to_owned(),
                );
                said.insert(key, verdict(of_root));
            }
        }
    }
    said
}

/// How many attacks were made, and how many got through. Past the capture of output, since a good test is silent.
fn count(users: &[(&str, &Verdicts)]) {
    let mut out = std::io::stderr();
    for (user, verdicts) in users {
        for level in COLUMNS {
            let of = |wanted: Verdict| {
                let here = verdicts.iter().filter(|((_, at, _), _)| at == level);
                here.filter(|(_, verdict)| **verdict == wanted).count()
            };
            let (stopped, passed) = (of(Verdict::Stopped), of(Verdict::NotStopped));
            if stopped + passed > 0 {
                let tried = stopped + passed;
                let _ = writeln!(
                    out,
                    "attacks as {user} at {level}: {tried} tried, {stopped} stopped, {passed} not"
                );
            }
        }
    }
}

#[test]
fn every_attack_that_the_table_refers_to_has_its_test() {
    for (_, attack, file, test) in ELSEWHERE {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
        if !path.exists()
            && !Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("Cargo.toml")
                .exists()
        {
            return; // Only the program is there, as for an ordinary user's run.
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains(&format!("fn {test}(")),
            "{attack}: {file} has no {test}"
        );
    }
}

#[test]
fn no_two_attacks_are_said_with_the_same_words() {
    let mut said = std::collections::BTreeSet::new();
    for (_, attack) in in_order() {
        assert!(said.insert(attack.tries), "twice: {}", attack.tries);
        assert!(!attack.tries.contains('|'), "{}", attack.tries);
    }
}
