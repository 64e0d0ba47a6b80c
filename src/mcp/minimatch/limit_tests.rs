//! What is refused, how long the rest takes at most, and which directories need not be entered.

use std::time::{Duration, Instant};

use super::Minimatch;

/// Far more than any of them takes, even unoptimized on a busy machine, and far less than a search that backtracks.
const PATIENCE: Duration = Duration::from_secs(2);

fn matcher(pattern: &str) -> Minimatch {
    Minimatch::new(pattern).unwrap()
}

fn refusal(pattern: &str) -> String {
    Minimatch::new(pattern).unwrap_err()
}

#[test]
fn no_pattern_takes_long() {
    let a = "a".repeat(255);
    let ab = "ab".repeat(127);
    let names = [a.as_str(), &ab, &"é".repeat(127), &"a/".repeat(200)[..399]];
    let repeat = |start: &str, middle: &str, count: usize, end: &str| {
        format!("{start}{}{end}", middle.repeat(count))
    };
    let patterns = [
        repeat("", "*a", 127, "*b"),
        repeat("", "*a", 2_000, "*b"),
        repeat("*", "a", 127, "b*"),
        repeat("", "**/", 1_300, "b"),
        repeat("", "**/a/", 190, "b"),
        repeat("", "**/a/a/a/b/", 100, "*"),
        repeat("", "*a*a*a*a*ab/", 15, "*"),
        repeat("+(+(+(a)))", "+(a|aa)", 40, "b"),
        repeat("*(", "a|aa|*a|", 50, "a)b"),
        repeat("", "*(b|a)", 200, "c"),
        repeat("+(", "*a|", 300, "b)"),
        repeat("+(", "[[:alpha:]]|", 200, "b)"),
        repeat("", "+(", 60, "a") + &")".repeat(60),
        repeat("", "*(a", 60, "b") + &")".repeat(60),
        repeat("*", "!(a)", 7, "b"),
        repeat("", "[", 4_096, ""),
        repeat("", "[\\]", 1_365, ""),
        repeat("", "{", 64, "a,b") + &"}".repeat(64),
        "**/!(!(*a*b)*b)*b".to_owned(),
        "**/*(a|aa)b/**/+(*a|b)c/**".to_owned(),
        "*{a,aa,aaa}{a,b}{a,b}{a,b}{a,b}{a,b}*b*c".to_owned(),
        "*{1..990}b*".to_owned(),
    ];
    for pattern in patterns {
        let start = Instant::now();
        let matcher = matcher(&pattern);
        for name in names {
            let _ = matcher.is_match(name);
        }
        let taken = start.elapsed();
        assert!(taken < PATIENCE, "'{pattern}' takes {taken:?}");
    }
}

#[test]
fn a_pattern_with_more_than_200_sections_matches_nothing() {
    let path = "a/".repeat(300) + "a";
    assert!(matcher(&("**/a/".repeat(200) + "**")).is_match(&path));
    assert!(!matcher(&("**/a/".repeat(201) + "**")).is_match(&path));
}

#[test]
fn a_pattern_that_is_too_long_is_refused() {
    assert!(matcher(&"a".repeat(4_096)).is_match(&"a".repeat(4_096)));
    assert!(refusal(&"a".repeat(4_097)).contains("longer than 4096 bytes"));
}

#[test]
fn braces_that_make_too_many_alternatives_are_refused() {
    assert!(matcher("{1..1000}").is_match("1000"));
    assert!(refusal("{1..1001}").contains("more than 1000 alternatives"));
    assert!(refusal(&"{a,b}".repeat(10)).contains("more than 1000 alternatives"));
    assert!(refusal(&("{1..900}".to_owned() + &"a".repeat(100))).contains("65536 characters"));
    assert!(refusal("{1..99999999999999999999}").contains("too large"));
    let nested = "{".repeat(100) + "a,b" + &"}".repeat(100);
    assert!(refusal(&nested).contains("deeper than 64"));
    assert!(refusal(&("{a}".to_owned() + &"}".repeat(4_000) + ",z}")).contains("too long"));
}

#[test]
fn extglobs_that_are_too_large_are_refused() {
    let nested = "+(".repeat(100) + "a" + &")".repeat(100);
    assert!(refusal(&nested).contains("deeper than 64"));
    assert!(refusal(&format!("@({})", "abcdefg|".repeat(300))).contains("too large"));
    assert!(refusal(&"a!(b)".repeat(100)).contains("`!(…)`"));
    assert!(refusal("*{1..100}!(a){1..9}!(a)").contains("too complex"));
}

#[test]
fn an_extglob_with_nothing_to_repeat_is_refused() {
    assert!(refusal("@(+()|a)").contains("nothing to repeat"));
    assert!(refusal("a/!()*()").contains("nothing to repeat"));
}

#[test]
fn a_named_class_beside_a_hyphen_means_what_it_says() {
    assert!(matcher("[[:upper:]]-*.md").is_match("A-b.md"));
    assert!(!matcher("[[:upper:]]-*.md").is_match("a-b.md"));
    assert!(matcher("a#[[:digit:]], *").is_match("a#1, b"));
}

#[test]
fn a_pattern_tells_how_deep_its_matches_are() {
    for (pattern, expected) in [
        ("*.js", Some(1)),
        ("src/*/b", Some(3)),
        ("{a,b/c}/*", Some(3)),
        ("#a/b", Some(0)),
        ("", Some(0)),
        ("src/**/*.ts", None),
        ("{a,**/b}", None),
        ("!src", None),
    ] {
        assert_eq!(matcher(pattern).max_components(), expected, "'{pattern}'");
    }
}

#[test]
fn paths_that_are_no_paths_do_no_harm() {
    for path in ["", "/", "a/", "//", ".", "a/../b", "\0"] {
        for pattern in ["**", "*", "a/**/b", "!(a)", "[!a]", "?(a)"] {
            let _ = matcher(pattern).is_match(path);
        }
    }
}
