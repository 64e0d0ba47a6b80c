use super::*;
use crate::backend::local::command::{CommandOptions, Isolation};
use crate::backend::local::{LocalBackend, LocalOptions};
use crate::call::Call;
use crate::workspace::{RunOptions, ScopeOptions, Workspace, WorkspaceOptions};

struct Fixture {
    root: Workspace,
    _directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let backend = LocalBackend::open(LocalOptions {
            root_dir: directory.path().join("root"),
            state_dir: Some(directory.path().join("state")),
            command: CommandOptions {
                isolation: Isolation::None,
                ..CommandOptions::default()
            },
            ..LocalOptions::default()
        });
        Self {
            root: Workspace::new(
                backend.unwrap(),
                WorkspaceOptions::default(),
                ScopeOptions::default(),
            ),
            _directory: directory,
        }
    }

    fn scope(&self, path: &str) -> Workspace {
        self.root.scope(path, ScopeOptions::default()).unwrap()
    }

    fn owners(&self) -> usize {
        self.root.inner.held.lock().by_owner.len()
    }
}

fn wait<T: Send + 'static>(call: Call<T>) -> Result<T> {
    crate::pool::runtime().block_on(call)
}

fn start(workspace: &Workspace, command: &str) -> BackgroundCommand {
    wait(workspace.spawn(command, RunOptions::default())).unwrap()
}

fn run(workspace: &Workspace) -> BackgroundCommand {
    let command = start(workspace, "true");
    wait(command.wait()).unwrap();
    command
}

fn known(workspace: &Workspace, now: Instant) -> Vec<String> {
    let commands = (workspace.inner.held).commands(&workspace.inner.owner, now);
    commands.iter().map(|one| one.id().to_owned()).collect()
}

#[test]
fn an_ended_command_is_forgotten_after_an_hour_and_a_running_one_never() {
    let fixture = Fixture::new();
    let workspace = fixture.scope("a");
    let running = start(&workspace, "sleep 60");
    let before = Instant::now();
    let ended = run(&workspace);
    let after = Instant::now();
    let both = [running.id().to_owned(), ended.id().to_owned()];
    let almost = before + ENDED_FOR - Duration::from_millis(1);
    assert_eq!(known(&workspace, almost), both);
    assert_eq!(known(&workspace, after + ENDED_FOR), both[..1]);
    assert_eq!(known(&workspace, after + 100 * ENDED_FOR), both[..1]);
    wait(fixture.root.destroy()).unwrap();
    wait(running.wait()).unwrap_err();
}

#[test]
fn so_many_ended_commands_are_remembered_the_latest_of_them() {
    let fixture = Fixture::new();
    let commands: Vec<_> = (0..MAX_BACKGROUND + 3)
        .map(|_| run(&fixture.root))
        .collect();
    let latest: Vec<_> = commands[3..].iter().map(|one| one.id()).collect();
    assert_eq!(known(&fixture.root, Instant::now()), latest);
}

#[test]
fn who_holds_nothing_leaves_no_entry() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.scope("a"), fixture.scope("b"));
    let call = one.begin_call("7", CancellationToken::new()).unwrap();
    assert_eq!(fixture.owners(), 1);
    drop(call);
    assert!(!one.cancel_call("7"));
    assert!(one.background_commands().is_empty());
    assert_eq!(fixture.owners(), 0);
    run(&one);
    run(&two);
    assert_eq!(fixture.owners(), 2);
    // Whoever asks next, what the others had goes as well.
    let later = Instant::now() + ENDED_FOR;
    assert!(known(&fixture.root, later).is_empty());
    assert_eq!(fixture.owners(), 0);
}

#[test]
fn output_is_remembered_within_a_bound_at_the_cost_of_who_has_most_of_it() {
    let fixture = Fixture::new();
    let [modest, greedy, late] = ["a", "b", "c"].map(|path| fixture.scope(path));
    let print = |workspace: &Workspace, bytes: usize| {
        let command = start(workspace, &format!("printf %0{bytes}d 7"));
        wait(command.wait()).unwrap();
        command.id().to_owned()
    };
    let held = &fixture.root.inner.held;
    let bound = |latest: &Workspace| held.lock().bound(&latest.inner.owner, 1_000);
    let now = Instant::now();
    let kept = print(&modest, 200);
    let silent = run(&modest).id().to_owned();
    print(&greedy, 300);
    let second = print(&greedy, 300);
    bound(&greedy);
    assert_eq!(known(&greedy, now).len(), 2);
    let latest = print(&late, 400);
    bound(&late);
    assert_eq!(known(&greedy, now), [second]);
    assert_eq!(known(&modest, now), [kept, silent]);
    assert_eq!(known(&late, now), [latest]);
    // What alone is more than the bound takes everything else's place.
    let large = print(&late, 2_000);
    bound(&late);
    assert_eq!(known(&late, now), [large]);
    assert!(known(&greedy, now).is_empty());
    let bytes: usize = held
        .lock()
        .by_owner
        .values()
        .map(|shelf| shelf.ended_bytes)
        .sum();
    assert_eq!(bytes, 2_000);
}
