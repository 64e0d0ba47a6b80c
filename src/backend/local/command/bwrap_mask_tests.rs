//! Masks as arguments, whole lists compared.

use super::*;

use crate::backend::local::command::masks::Masked;

fn masked(path: &str, view: View, directory: bool, source: Option<Source>) -> Masked {
    Masked {
        path: path.into(),
        view,
        directory,
        holds_shown: false,
        source,
    }
}

/// What is between the mounts before the scope and `--remount-ro /`.
fn scope_part(masks: &Masks, empty: Option<&Path>) -> String {
    let environment = Environment::default();
    let sandbox = Sandbox {
        masks,
        empty,
        ..tests::sandbox(&environment, &[])
    };
    let text = tests::text(&sandbox);
    let (_, after) = text
        .split_once("--bind-fd 7 /var/cache/agent-backend ")
        .unwrap();
    let (part, rest) = after
        .split_once(" --remount-ro / --chdir /w/one/sub")
        .unwrap();
    assert_eq!(rest, " --clearenv");
    part.to_owned()
}

#[test]
fn each_kind_of_mask_follows_the_scope_in_order() {
    let masks = Masks {
        below: vec![
            masked(
                "/w/one/a",
                View::Writable,
                true,
                Some(Source::Descriptor(9)),
            ),
            masked("/w/one/a/secret", View::Hidden, true, None),
            masked("/w/one/.env", View::Hidden, false, None),
            masked(
                "/w/one/docs",
                View::ReadOnly,
                true,
                Some(Source::Staged("/tmp/4".into())),
            ),
            masked(
                "/w/one/docs/out",
                View::Writable,
                true,
                Some(Source::Staged("/tmp/5".into())),
            ),
            masked(
                "/w/one/LICENSE",
                View::ReadOnly,
                false,
                Some(Source::Descriptor(10)),
            ),
        ],
        ..Masks::default()
    };
    assert_eq!(
        scope_part(&masks, None),
        "--bind-fd 5 /w/one --bind-fd 9 /w/one/a \
         --perms 0555 --tmpfs /w/one/a/secret --remount-ro /w/one/a/secret \
         --ro-bind /dev/null /w/one/.env --ro-bind /tmp/4 /w/one/docs --bind /tmp/5 /w/one/docs/out \
         --ro-bind-fd 10 /w/one/LICENSE"
    );
    let one = Masks {
        below: vec![masked("/w/one/s", View::Hidden, true, None)],
        ..Masks::default()
    };
    assert_eq!(
        scope_part(&one, Some(Path::new("/tmp/empty"))),
        "--bind-fd 5 /w/one --ro-bind /tmp/empty /w/one/s"
    );
}

#[test]
fn a_scope_that_may_only_be_read_is_bound_read_only() {
    let masks = Masks {
        scope: Some(masked("/w/one", View::ReadOnly, true, None)),
        ..Masks::default()
    };
    assert_eq!(scope_part(&masks, None), "--ro-bind-fd 5 /w/one");
}

#[test]
fn what_is_shown_in_something_hidden_gets_its_mount_point_before_that_is_closed() {
    let holding = |mask| Masked {
        holds_shown: true,
        ..mask
    };
    let masks = Masks {
        scope: Some(holding(masked("/w/one", View::Hidden, true, None))),
        below: vec![
            masked(
                "/w/one/src/app",
                View::Writable,
                true,
                Some(Source::Descriptor(9)),
            ),
            holding(masked("/w/one/src/app/private", View::Hidden, true, None)),
            masked(
                "/w/one/src/app/private/x",
                View::ReadOnly,
                false,
                Some(Source::Descriptor(10)),
            ),
        ],
        ..Masks::default()
    };
    assert_eq!(
        scope_part(&masks, Some(Path::new("/tmp/empty"))),
        "--perms 0755 --tmpfs /w/one --bind-fd 9 /w/one/src/app \
         --perms 0755 --tmpfs /w/one/src/app/private --ro-bind-fd 10 /w/one/src/app/private/x \
         --remount-ro /w/one --remount-ro /w/one/src/app/private"
    );
    // A hidden scope in which nothing turned out to be shown.
    let nothing = Masks {
        scope: Some(masked("/w/one", View::Hidden, true, None)),
        ..Masks::default()
    };
    assert_eq!(
        scope_part(&nothing, Some(Path::new("/tmp/empty"))),
        "--ro-bind /tmp/empty /w/one"
    );
}

#[test]
fn a_mask_that_lost_what_it_shows_hides_it() {
    for view in [View::ReadOnly, View::Writable] {
        let masks = Masks {
            below: vec![masked("/w/one/f", view, false, None)],
            ..Masks::default()
        };
        assert_eq!(
            scope_part(&masks, None),
            "--bind-fd 5 /w/one --ro-bind /dev/null /w/one/f"
        );
    }
}
