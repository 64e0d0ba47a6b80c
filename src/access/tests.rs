//! What rules cover, which of them decides, and what an approval is good for.

use std::sync::Arc;

use super::*;
use crate::error::ErrorCode;
use crate::path::RelPath;

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

fn rule(pattern: &str, allow: Allow) -> AccessRule {
    AccessRule {
        pattern: pattern.to_owned(),
        allow,
        exec: true,
    }
}

fn rules(list: &[(&str, Allow)]) -> Rules {
    Rules::new(list.iter().map(|(at, allow)| rule(at, *allow)).collect()).unwrap()
}

fn is_allowed(rules: &dyn Guard, at: &str, access: Access) -> bool {
    match rules.check(&path(at), access) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::PolicyDenied);
            false
        }
    }
}

#[test]
fn a_pattern_covers_what_it_matches_and_everything_below() {
    for (pattern, at, expected) in [
        // Without a slash: at any depth, whatever it is.
        ("secret", "secret", true),
        ("secret", "a/b/secret", true),
        ("secret", "a/secret/x/y", true),
        ("secret", "secrets", false),
        ("secret", "a/secret.txt", false),
        ("*.key", "a/b.key", true),
        ("*.key", "b.key", true),
        ("*.key", "b.keys", false),
        (".env", "app/.env", true),
        (".env*", "app/.env.local", true),
        // A slash at the end does not count, and files are covered too.
        ("secret/", "secret", true),
        ("secret/", "a/secret/x", true),
        // With a slash: from the root on.
        ("/secret", "secret/x", true),
        ("/secret", "a/secret", false),
        ("secret/**", "secret", true),
        ("secret/**", "secret/x/y", true),
        ("secret/**", "a/secret", false),
        ("a/b", "a/b", true),
        ("a/b", "a/b/c/d", true),
        ("a/b", "x/a/b", false),
        ("a/b", "a", false),
        ("a/*", "a", false),
        ("a/*", "a/b", true),
        ("a/*", "a/b/c", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b/z", true),
        ("**/secret/**", "a/secret", true),
        ("**/secret/**", "secret/x", true),
        ("./a/b", "a/b", true),
        ("*", "a", true),
        ("*", "a/b", true),
        ("*", "", false),
        ("**/*", "a/b", true),
        ("**/*", "", false),
        // All, the root too.
        ("**", "", true),
        ("**", "a/b", true),
        ("/", "", true),
        ("/", "a/b", true),
        // Spellings.
        ("{a,b}/c", "b/c/d", true),
        ("*.{key,pem}", "x/y.pem", true),
        ("[ab]", "b/x", true),
        ("[!ab]", "b", false),
        ("\\!important", "!important", true),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("données", "x/données/y", true),
    ] {
        let covers = rules(&[(pattern, Allow::None)])
            .decides(&path(at))
            .is_some();
        assert_eq!(covers, expected, "{pattern} {at}");
    }
}

#[test]
fn names_that_are_not_text_are_judged_by_their_bytes() {
    let rules = rules(&[("*.key", Allow::None)]);
    let name = RelPath::parse(b"d/\xff\xfe.key", b"/").unwrap();
    assert_eq!(rules.decides(&name), Some(0));
}

#[test]
fn the_first_rule_that_covers_a_path_decides() {
    let rules = rules(&[
        ("src/generated/**", Allow::Read),
        ("src/**", Allow::Write),
        ("*.md", Allow::Read),
        ("**", Allow::None),
    ]);
    for (at, decides) in [
        ("src/generated/a", 0),
        ("src/generated", 0),
        ("src/a", 1),
        ("src/a.md", 1),
        ("docs/a.md", 2),
        ("docs", 3),
        ("", 3),
    ] {
        assert_eq!(rules.decides(&path(at)), Some(decides), "{at}");
    }
    assert_eq!(
        super::Rules::new(Vec::new()).unwrap().decides(&path("a")),
        None
    );
}

#[test]
fn each_level_gives_what_it_says() {
    let rules = rules(&[
        ("none", Allow::None),
        ("read", Allow::Read),
        ("write", Allow::Write),
    ]);
    let stat = Access::Stat { directory: false };
    let looks = [stat, Access::List, Access::Read, Access::Exec];
    let changes = [Access::Write, Access::WriteBelow, Access::Pass];
    for at in ["none", "read", "write", "elsewhere", ""] {
        for access in looks {
            assert_eq!(
                is_allowed(&rules, at, access),
                at != "none",
                "{at} {access:?}"
            );
        }
        for access in changes {
            let expected = !["none", "read"].contains(&at);
            assert_eq!(is_allowed(&rules, at, access), expected, "{at} {access:?}");
        }
        assert_eq!(rules.hides(&path(at), false), at == "none");
        let view = match at {
            "none" => View::Hidden,
            "read" => View::ReadOnly,
            _ => View::Writable,
        };
        assert_eq!(rules.view(&path(at)), view);
    }
}

#[test]
fn commands_begin_where_the_deciding_rule_lets_them() {
    let mut list = vec![rule("build", Allow::Read), rule("**", Allow::Write)];
    list[1].exec = false;
    let rules = Rules::new(list).unwrap();
    for (at, expected) in [
        ("", false),
        ("src", false),
        ("build", true),
        ("a/build/x", true),
    ] {
        assert_eq!(is_allowed(&rules, at, Access::Exec), expected, "{at}");
        assert!(is_allowed(&rules, at, Access::Read));
    }
}

#[test]
fn a_hidden_directory_is_shown_as_far_as_an_earlier_rule_reaches_into_it() {
    let rules = rules(&[
        ("src/app/**", Allow::Write),
        ("shut", Allow::None),
        ("**", Allow::None),
        ("late/x", Allow::Write),
    ]);
    for (at, shown) in [
        ("", true),
        ("src", true),
        ("src/app", true),
        ("src/other", false),
        ("other", false),
        ("shut", false),
        ("src/app/shut", true), // the first rule covers it
        ("late", false),        // too late
    ] {
        assert_eq!(!rules.hides(&path(at), true), shown, "{at}");
        assert_eq!(is_allowed(&rules, at, Access::List), shown, "{at}");
        let stat = Access::Stat { directory: true };
        assert_eq!(is_allowed(&rules, at, stat), shown, "{at}");
    }
    // Shown is not given: nothing can be changed there, and a file in its place is no way to anything.
    assert!(is_allowed(&rules, "src", Access::Exec));
    assert!(!is_allowed(&rules, "other", Access::Exec));
    assert!(!is_allowed(&rules, "src", Access::Write));
    assert!(!is_allowed(&rules, "src", Access::Read));
    assert!(rules.hides(&path("src"), false));
    assert!(!is_allowed(
        &rules,
        "src",
        Access::Stat { directory: false }
    ));
}

#[test]
fn what_may_hold_something_protected_is_looked_through() {
    let rules = rules(&[
        ("a/out/**", Allow::Write),
        ("a/b/secret", Allow::None),
        ("docs/*.md", Allow::Read),
        ("free/**", Allow::Write),
        ("*.key", Allow::None),
    ]);
    for (at, expected) in [
        ("a", true),
        ("a/b", true),
        ("a/b/other", true), // *.key
        ("a/out", false),    // the first rule covers all of it
        ("free", false),
        ("free/x", false),
        ("", true),
    ] {
        assert_eq!(rules.may_protect_below(&path(at)), expected, "{at}");
    }
    let anchored = super::tests::rules(&[("a/b/secret", Allow::None), ("docs/*.md", Allow::Read)]);
    for (at, expected) in [
        ("a", true),
        ("a/b", true),
        ("a/b/c", false),
        ("a/c", false),
        ("docs", true),
        ("docs/deep", false),
        ("x", false),
    ] {
        assert_eq!(anchored.may_protect_below(&path(at)), expected, "{at}");
        assert_eq!(anchored.may_differ_below(&path(at)), expected, "{at}");
    }
}

#[test]
fn a_refusal_names_the_rule_by_index_and_pattern_and_the_path() {
    let rules = rules(&[("x", Allow::Read), ("secret/**", Allow::None)]);
    let denied = rules.check(&path("secret/a"), Access::Read).unwrap_err();
    assert_eq!(
        denied.message(),
        "rules[1] ('secret/**', none) of the access policy gives no access to 'secret/a'"
    );
    let denied = rules.check(&path("x"), Access::Write).unwrap_err();
    assert!(
        denied.message().starts_with("rules[0] ('x', read)"),
        "{denied}"
    );
}

#[test]
fn a_wrong_rule_is_named_by_index_and_field() {
    let deep = "{".repeat(20);
    let long = "x".repeat(5000);
    for pattern in [
        "", "!x", "[a", "{a", "a}", "../x", "a/../b", "a/./b", "a//b", "//", "a\0b", &deep, &long,
    ] {
        let list = vec![rule("fine", Allow::Read), rule(pattern, Allow::None)];
        let error = Rules::new(list).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{pattern:?}");
        let names = error.message().starts_with("accessPolicy.rules[1].match: ");
        assert!(names, "{}", error.message());
        assert!(error.message().len() < 600);
    }
    let many = vec![rule("x", Allow::None); MAX_RULES + 1];
    assert_eq!(
        Rules::new(many).unwrap_err().code(),
        ErrorCode::InvalidConfiguration
    );
}

#[test]
fn an_approval_is_good_for_its_place_and_nothing_else() {
    let rules = Arc::new(rules(&[("secret", Allow::None)]));
    let approved = Approved::new(rules, vec![path("a/b"), path("secret")]);
    let stat = Access::Stat { directory: true };
    for (at, access, expected) in [
        ("a/b", Access::Read, true),
        ("a/b", Access::Write, true),
        ("a/b/c", Access::Read, false),
        ("a/b/c", Access::Write, false),
        ("a", Access::Read, false),
        ("a/bc", Access::Read, false),
        ("x", stat, false),
        // What holds it, and what it holds.
        ("a", Access::Pass, true),
        ("a/b", Access::Pass, true),
        ("x", Access::Pass, false),
        ("", Access::Exec, true),
        ("a/b/c", Access::WriteBelow, true),
        ("a/x", Access::WriteBelow, false),
        // No answer opens what the rules close.
        ("secret", Access::Read, false),
    ] {
        assert_eq!(
            is_allowed(&approved, at, access),
            expected,
            "{at} {access:?}"
        );
    }
}
