//! Status, destruction, and who is told of what.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use agent_backend::backend::search::GrepQuery;
use agent_backend::backend::{
    Attributes, Content, Edit, EditOptions, ListOptions, OpenOptions, ReadOptions, RenameOptions,
    WriteOptions,
};
use agent_backend::error::ErrorCode;
use agent_backend::status::Status;
use agent_backend::workspace::{
    OPERATIONS, Observer, OperationRecord, RunOptions, ScopeOptions, SearchOptions, StartOptions,
    Workspace,
};

use crate::fixture::{FORCE, Fixture, Verbs, code, wait};

pub fn a_workspace_is_connected_until_it_is_destroyed(f: &Fixture) {
    assert_eq!(f.workspace.status(), Status::Connected);
    wait(f.workspace.destroy()).unwrap();
    assert_eq!(f.workspace.status(), Status::Destroyed);
}

pub fn every_call_after_destroy_is_refused(f: &Fixture) {
    f.workspace.put("a", "1");
    wait(f.workspace.destroy()).unwrap();
    let w = &f.workspace;
    let codes = [
        code(w.read("a", ReadOptions::default())),
        code(w.write("a", Content::owned("x"), WriteOptions::default())),
        code(w.stat("a")),
        code(w.lstat("a")),
        code(w.exists("a")),
        code(w.list("", ListOptions::default())),
        code(w.create_dir("d", true)),
        code(w.remove("a", FORCE)),
        code(w.rename("a", "b", RenameOptions::default())),
        code(w.touch("a")),
        code(w.list_keys("")),
        code(w.delete_key("a")),
        code(w.clear_keys()),
        w.scope("s", ScopeOptions::default()).unwrap_err().code(),
    ];
    assert!(
        codes.iter().all(|&code| code == ErrorCode::Destroyed),
        "{codes:?}"
    );
}

pub fn destroying_twice_is_fine(f: &Fixture) {
    wait(f.workspace.destroy()).unwrap();
    wait(f.workspace.destroy()).unwrap();
    assert_eq!(f.workspace.status(), Status::Destroyed);
}

pub fn destroying_a_scope_leaves_the_parent(f: &Fixture) {
    for path in ["s", "."] {
        let below = f.workspace.scope(path, ScopeOptions::default()).unwrap();
        below.put("a", "1");
        wait(below.destroy()).unwrap();
        assert_eq!(code(below.stat("a")), ErrorCode::Destroyed);
    }
    assert_eq!(f.workspace.get("s/a"), "1");
    assert_eq!(f.workspace.status(), Status::Connected);
    assert_eq!(f.root.status(), Status::Connected);
}

pub fn destroying_the_parent_ends_its_scopes(f: &Fixture) {
    let below = f.workspace.scope("s", ScopeOptions::default()).unwrap();
    let deeper = below.scope("t", ScopeOptions::default()).unwrap();
    deeper.put("a", "1");
    wait(f.workspace.destroy()).unwrap();
    for scope in [&below, &deeper] {
        assert_eq!(code(scope.stat("a")), ErrorCode::Destroyed);
        assert_eq!(scope.status(), Status::Destroyed);
    }
}

/// Keeps what it is told.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Recorder {
    fn operation(&self, record: &OperationRecord<'_>) {
        let outcome = record.error.map_or("ok", |error| error.code().as_str());
        let line = format!("{} {} {outcome}", record.operation, record.target);
        self.0.lock().unwrap().push(line);
    }
}

pub fn observed(parent: &Workspace, path: &str) -> (Workspace, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let options = ScopeOptions {
        observer: Some(Arc::clone(&recorder) as _),
        ..ScopeOptions::default()
    };
    (parent.scope(path, options).unwrap(), recorder)
}

pub fn the_log_has_every_operation_that_it_is_said_to_have(f: &Fixture) {
    let (w, recorder) = observed(&f.workspace, "s");
    // What fails is in the log too, so that it matters to no backend what another cannot do.
    let (plain, search) = (ReadOptions::default(), SearchOptions::default());
    let _ = wait(w.read("a", plain));
    w.put("a", "1");
    let _ = wait(w.stat("a"));
    let _ = wait(w.lstat("a"));
    let _ = wait(w.exists("a"));
    let _ = wait(w.list("", ListOptions::default()));
    let _ = wait(w.create_dir("d", false));
    let _ = wait(w.touch("a"));
    let _ = wait(w.rename("a", "b", RenameOptions::default()));
    let _ = wait(w.remove("b", FORCE));
    let edit = Edit {
        old_text: "1".into(),
        new_text: "2".into(),
        ..Edit::default()
    };
    let _ = wait(w.edit("a", vec![edit], EditOptions::default()));
    let _ = wait(w.glob("", "*", false, search.clone()));
    let query = GrepQuery {
        pattern: "x".into(),
        ..GrepQuery::default()
    };
    let _ = wait(w.grep("", query, search.clone()));
    let _ = wait(w.tree("", None, search));
    let _ = wait(w.list_keys(""));
    let _ = wait(w.delete_key("a"));
    let _ = wait(w.clear_keys());
    let reading = OpenOptions {
        read: true,
        ..OpenOptions::default()
    };
    let _ = wait(w.open("a", reading));
    let _ = wait(w.set_attributes("a", true, Attributes::default()));
    let _ = wait(w.read_link("a"));
    let _ = wait(w.symlink("l", "a"));
    let _ = wait(w.space());
    // No command is started for a text that is none.
    let none = "a\0b";
    let _ = wait(w.exec(none, RunOptions::default()));
    let _ = wait(w.run(none, RunOptions::default()));
    let _ = wait(w.spawn(none, RunOptions::default()));
    let _ = wait(w.start(none, StartOptions::default()));
    let logged: BTreeSet<String> = (recorder.take().iter())
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    // What a command asks of the network is in `tests/commands`.
    let known = OPERATIONS.iter().map(|(name, _)| (*name).to_owned());
    let known: BTreeSet<String> = known.filter(|name| name != "connect").collect();
    assert_eq!(logged, known);
}

pub fn the_observer_is_told_of_every_operation(f: &Fixture) {
    let (w, recorder) = observed(&f.workspace, "s");
    w.put("d/a", "1");
    w.get("d/a");
    w.look("d/a");
    assert!(!w.has("x"));
    assert!(!w.has("../x"));
    w.names("d");
    w.make("e");
    wait(w.touch("b")).unwrap();
    wait(w.rename("b", "c", RenameOptions::default())).unwrap();
    wait(w.remove("c", FORCE)).unwrap();
    assert!(wait(w.read("missing", ReadOptions::default())).is_err());
    assert!(wait(w.stat("../x")).is_err());
    assert_eq!(
        recorder.take(),
        [
            "write d/a ok",
            "read d/a ok",
            "stat d/a ok",
            "exists x ok",
            "exists ../x ok",
            "readdir d ok",
            "mkdir e ok",
            "touch b ok",
            "rename b ok",
            "rm c ok",
            "read missing NOT_FOUND",
            "stat ../x PATH_ESCAPE_ATTEMPT",
        ]
    );
}

pub fn what_is_held_is_one_entry_of_the_log(f: &Fixture) {
    let (w, recorder) = observed(&f.workspace, "s");
    w.put("f", "1");
    let read = OpenOptions {
        read: true,
        ..OpenOptions::default()
    };
    let file = wait(w.open("f", read)).unwrap();
    wait(file.read_at(0, 1)).unwrap();
    assert!(wait(file.write_at(0, "x".into())).is_err());
    assert!(wait(w.open("missing", read)).is_err());
    let staged = wait(w.stage("g", WriteOptions::default())).unwrap();
    wait(staged.append("ab".into())).unwrap();
    assert_eq!(recorder.take().len(), 3);
    wait(staged.commit()).unwrap();
    assert!(wait(staged.commit()).is_err());
    assert!(wait(w.stage("../g", WriteOptions::default())).is_err());
    drop(wait(w.stage("h", WriteOptions::default())).unwrap());
    wait(w.set_attributes("f", true, Attributes::default())).unwrap();
    let _ = wait(w.read_link("f"));
    let _ = wait(w.symlink("../l", "f"));
    let _ = wait(w.space());
    let told = recorder.take();
    let without_outcome = |line: &String| line.rsplit_once(' ').unwrap().0.to_owned();
    assert_eq!(
        told[..4],
        [
            "write g ok",
            "write g CONFLICT",
            "write ../g PATH_ESCAPE_ATTEMPT",
            "setstat f ok",
        ]
    );
    assert_eq!(
        told[4..].iter().map(without_outcome).collect::<Vec<_>>(),
        ["readlink f", "symlink ../l", "statvfs "]
    );
}

pub fn the_log_says_who_acted(f: &Fixture) {
    #[derive(Debug, Default)]
    struct Who(Mutex<Vec<String>>);
    impl Observer for Who {
        fn operation(&self, record: &OperationRecord<'_>) {
            let line = format!("{} by '{}'", record.operation, record.principal);
            self.0.lock().unwrap().push(line);
        }
    }
    let who = Arc::new(Who::default());
    let options = |principal: Option<&str>| ScopeOptions {
        observer: Some(Arc::clone(&who) as _),
        principal: principal.map(Arc::from),
        ..ScopeOptions::default()
    };
    let owner = f.workspace.scope("s", options(None)).unwrap();
    let other = owner.scope("t", options(Some("other"))).unwrap();
    owner.put("f", "1");
    other.put("f", "1");
    let _ = wait(other.run("true", Default::default()));
    assert_eq!(
        *who.0.lock().unwrap(),
        ["write by ''", "write by 'other'", "run by 'other'"]
    );
}

pub fn the_observer_of_a_scope_sees_only_the_scope(f: &Fixture) {
    let (watched, recorder) = observed(&f.workspace, "s");
    let unwatched = f.workspace.scope("t", ScopeOptions::default()).unwrap();
    f.workspace.put("a", "1");
    unwatched.put("b", "1");
    let inner = watched.scope("inner", ScopeOptions::default()).unwrap();
    inner.put("c", "1");
    let (_own, own_recorder) = observed(&watched, "own");
    _own.put("d", "1");
    assert_eq!(recorder.take(), ["write c ok"]);
    assert_eq!(own_recorder.take(), ["write d ok"]);
}

pub fn errors_name_the_operation_and_the_path_as_written(f: &Fixture) {
    let error = wait(f.workspace.read("./no//such", ReadOptions::default())).unwrap_err();
    assert_eq!(error.operation(), Some("read"));
    assert_eq!(error.path(), Some("./no//such"));
    let error = wait(f.workspace.rename("missing", "b", RenameOptions::default())).unwrap_err();
    assert_eq!(error.operation(), Some("rename"));
    let error = wait(f.workspace.create_dir("../x", true)).unwrap_err();
    assert_eq!(error.operation(), Some("mkdir"));
    assert_eq!(error.path(), Some("../x"));
}
