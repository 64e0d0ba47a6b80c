//! What a command costs. Not a check: `cargo test --release --test commands measure -- --ignored --nocapture`.

use std::time::Instant;

use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::pool;
use agent_backend::workspace::{RunOptions, ScopeOptions, Workspace, WorkspaceOptions};

#[test]
#[ignore = "a measurement, not a check"]
fn the_cost_of_a_command_at_each_level() {
    for isolation in [Isolation::None, Isolation::Bwrap] {
        let base = tempfile::tempdir().unwrap();
        let backend = LocalBackend::open(LocalOptions {
            root_dir: base.path().join("root"),
            state_dir: Some(base.path().join("state")),
            command: CommandOptions {
                isolation,
                ..CommandOptions::default()
            },
            ..LocalOptions::default()
        });
        let root = Workspace::new(
            backend.unwrap(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        let workspace = root.scope("one", ScopeOptions::default()).unwrap();
        let one = || workspace.exec("true", RunOptions::default());
        pool::runtime().block_on(async {
            one().await.unwrap();
            let mut times = Vec::new();
            for _ in 0..60 {
                let begun = Instant::now();
                one().await.unwrap();
                times.push(begun.elapsed().as_secs_f64() * 1000.0);
            }
            times.sort_by(f64::total_cmp);
            let mut rounds = Vec::new();
            for _ in 0..8 {
                let begun = Instant::now();
                let calls: Vec<_> = (0..16).map(|_| pool::runtime().spawn(one())).collect();
                for call in calls {
                    call.await.unwrap().unwrap();
                }
                rounds.push(begun.elapsed().as_secs_f64() * 1000.0 / 16.0);
            }
            rounds.sort_by(f64::total_cmp);
            println!(
                "{}: one after another {:.2} ms (best {:.2}), 16 at once {:.2} ms each (best {:.2})",
                isolation.as_str(), times[30], times[0], rounds[4], rounds[0]
            );
        });
    }
}
