use std::time::Instant;

use super::*;

const HEAD: &str = "\
Index: f
===================================================================
--- f\toriginal
+++ f\tmodified
";

/// The hunks of the patch from one content to the other.
fn hunks_with(effort: Effort, old: &[u8], new: &[u8]) -> String {
    let text = patch("f", old, new, effort, MAX_PATCH_BYTES);
    text.strip_prefix(HEAD).expect("the head").to_owned()
}

fn hunks(old: &str, new: &str) -> String {
    hunks_with(EFFORT, old.as_bytes(), new.as_bytes())
}

/// A line for each character.
fn lines(text: &str) -> String {
    text.chars().map(|line| format!("{line}\n")).collect()
}

fn numbered(count: usize) -> String {
    (1..=count).map(|number| format!("{number}\n")).collect()
}

/// What the hunks make of the old content; each line is compared on the way.
fn patched(old: &str, hunks: &str) -> String {
    let mut rest = old.split_inclusive('\n');
    let mut new = String::new();
    let mut old_line = 1;
    let mut shown = hunks.lines().peekable();
    while let Some(line) = shown.next() {
        if let Some(header) = line.strip_prefix("@@ -") {
            let (start, count) = header.split(' ').next().unwrap().split_once(',').unwrap();
            let start: usize = start.parse().unwrap();
            let start = start + usize::from(count == "0");
            new.extend(rest.by_ref().take(start - old_line));
            old_line = start;
            continue;
        }
        let (sign, bare) = line.split_at(1);
        let is_open = shown.next_if(|next| next.starts_with('\\')).is_some();
        let whole = format!("{bare}{}", if is_open { "" } else { "\n" });
        if sign != "+" {
            assert_eq!(rest.next(), Some(&*whole), "{old:?} {hunks}");
            old_line += 1;
        }
        if sign != "-" {
            new.push_str(&whole);
        }
    }
    new.extend(rest);
    new
}

#[test]
fn a_change_is_shown_with_four_lines_around_it() {
    let new = numbered(20).replace("\n10\n", "\nten\nten and a half\n");
    let expected = "\
@@ -6,9 +6,10 @@
 6
 7
 8
 9
-10
+ten
+ten and a half
 11
 12
 13
 14
";
    assert_eq!(hunks(&numbered(20), &new), expected);
}

#[test]
fn the_edges_of_a_file_are_shown_as_jsdiff_does() {
    let open = "\\ No newline at end of file\n";
    for (old, new, expected) in [
        ("same", "same", String::new()),
        ("", "", String::new()),
        ("", "a\n", "@@ -0,0 +1,1 @@\n+a\n".to_owned()),
        ("a\n", "", "@@ -1,1 +0,0 @@\n-a\n".to_owned()),
        ("a", "b", format!("@@ -1,1 +1,1 @@\n-a\n{open}+b\n{open}")),
        ("a\n", "a", format!("@@ -1,1 +1,1 @@\n-a\n+a\n{open}")),
        ("a", "a\n", format!("@@ -1,1 +1,1 @@\n-a\n{open}+a\n")),
        ("x\na", "a", format!("@@ -1,2 +1,1 @@\n-x\n a\n{open}")),
        ("a\n", "a\nb", format!("@@ -1,1 +1,2 @@\n a\n+b\n{open}")),
        ("a", "", format!("@@ -1,1 +0,0 @@\n-a\n{open}")),
        ("\n", "\n\n", "@@ -1,1 +1,2 @@\n \n+\n".to_owned()),
    ] {
        assert_eq!(hunks(old, new), expected, "{old:?} {new:?}");
    }
}

#[test]
fn of_several_shortest_ways_it_is_the_one_of_jsdiff() {
    for (old, new, expected) in [
        ("ab", "ba", "@@ -1,2 +1,2 @@\n-a\n b\n+a\n"),
        ("aba", "bab", "@@ -1,3 +1,3 @@\n-a\n b\n a\n+b\n"),
        ("abc", "xyz", "@@ -1,3 +1,3 @@\n-a\n-b\n-c\n+x\n+y\n+z\n"),
        ("aab", "ab", "@@ -1,3 +1,2 @@\n a\n-a\n b\n"),
        ("xab", "yabab", "@@ -1,3 +1,5 @@\n-x\n+y\n a\n b\n+a\n+b\n"),
        (
            "abcabba",
            "cbabac",
            "@@ -1,7 +1,6 @@\n-a\n-b\n c\n+b\n a\n b\n-b\n a\n+c\n",
        ),
        // Both end in the same lines, which are met before the end as well.
        ("cab", "aab", "@@ -1,3 +1,3 @@\n-c\n a\n+a\n b\n"),
        ("bbab", "abab", "@@ -1,4 +1,4 @@\n+a\n b\n-b\n a\n b\n"),
    ] {
        assert_eq!(hunks(&lines(old), &lines(new)), expected, "{old} {new}");
    }
}

#[test]
fn changes_share_a_hunk_where_no_more_than_eight_lines_are_between_them() {
    let change = |second: &str| {
        let new = numbered(30).replace("\n10\n", "\nX\n");
        hunks(&numbered(30), &new.replace(second, "\nY\n"))
    };
    let near = change("\n19\n");
    assert_eq!(near.matches("@@ -").count(), 1);
    assert!(near.starts_with("@@ -6,18 +6,18 @@\n"), "{near}");
    let far = change("\n20\n");
    assert!(far.starts_with("@@ -6,9 +6,9 @@\n"), "{far}");
    assert!(far.contains(" 14\n@@ -16,9 +16,9 @@\n 16\n"), "{far}");
    let added = numbered(1000).replace("\n100\n", "\n100\n+\n");
    let hunks = hunks(&numbered(1000), &added.replace("\n900\n", "\n"));
    assert!(hunks.contains("@@ -97,8 +97,9 @@"), "{hunks}");
    assert!(hunks.contains("@@ -896,9 +897,8 @@"), "{hunks}");
}

#[test]
fn line_ends_that_are_crlf_count_as_lf() {
    assert_eq!(hunks("a\r\nb\r\n", "a\nb\n"), "");
    let expected = "@@ -1,2 +1,2 @@\n a\n-b\n+c\rd\n";
    assert_eq!(hunks("a\r\nb\r\n", "a\nc\rd\n"), expected);
}

#[test]
fn what_is_not_utf8_is_compared_as_bytes() {
    let expected = "@@ -1,1 +1,1 @@\n-\u{fffd}\n+\u{fffd}\n";
    assert_eq!(hunks_with(EFFORT, b"\xff\n", b"\xfe\n"), expected);
}

#[test]
fn the_path_stands_in_the_head_as_it_is() {
    let text = fenced_patch("dir/\"a\"\té\n.txt", b"", b"");
    let line = "=".repeat(67);
    let path = "dir/\"a\"\té\n.txt";
    let expected = format!(
        "```diff\nIndex: {path}\n{line}\n--- {path}\toriginal\n+++ {path}\tmodified\n```\n\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn the_fence_is_longer_than_any_run_of_backticks_inside() {
    for (content, fence) in [("``", 3), ("```", 4), ("a ````` b ```", 6)] {
        let text = fenced_patch("f", b"", content.as_bytes());
        let backticks = "`".repeat(fence);
        assert!(text.starts_with(&format!("{backticks}diff\n")), "{text}");
        assert!(text.ends_with(&format!("\n{backticks}\n\n")), "{text}");
    }
    assert!(fenced_patch("`````", b"", b"").starts_with("``````diff\n"));
}

#[test]
fn every_patch_leads_from_the_one_content_to_the_other_be_it_the_shortest_or_not() {
    let texts = |longest: u32| {
        (0..=longest).flat_map(|length| {
            (0..1_u32 << length).map(move |bits| {
                let letters = (0..length).map(|at| if bits >> at & 1 == 0 { 'a' } else { 'b' });
                letters.collect::<String>()
            })
        })
    };
    let hasty = [
        Effort {
            changes: 2,
            ..EFFORT
        },
        Effort { lines: 4, ..EFFORT },
    ];
    for old in texts(5).map(|text| lines(&text)) {
        for new in texts(5).map(|text| lines(&text)) {
            let new = new
                .strip_suffix("b\n")
                .map_or(new.clone(), |rest| format!("{rest}b"));
            for effort in [EFFORT].into_iter().chain(hasty) {
                let hunks = hunks_with(effort, old.as_bytes(), new.as_bytes());
                assert_eq!(patched(&old, &hunks), new, "{old:?} {new:?}");
            }
        }
    }
}

#[test]
fn where_the_shortest_way_takes_too_much_all_is_replaced_between_the_first_and_the_last_change() {
    let (old, new) = (lines("vvvvvabcdwwwww"), lines("vvvvvbdacwwwww"));
    let shortest = hunks(&old, &new);
    assert!(shortest.contains("-a\n b\n"), "{shortest}");
    let replaced =
        "@@ -2,12 +2,12 @@\n v\n v\n v\n v\n-a\n-b\n-c\n-d\n+b\n+d\n+a\n+c\n w\n w\n w\n w\n";
    for effort in [
        Effort {
            changes: 3,
            ..EFFORT
        },
        Effort { lines: 7, ..EFFORT },
    ] {
        let hunks = hunks_with(effort, old.as_bytes(), new.as_bytes());
        assert_eq!(hunks, replaced, "{effort:?}");
    }
    let (old, new) = (
        numbered(2_000),
        numbered(2_000)
            .split_inclusive('\n')
            .rev()
            .collect::<String>(),
    );
    let late = Effort {
        time: Duration::ZERO,
        ..EFFORT
    };
    let hunks = hunks_with(late, old.as_bytes(), new.as_bytes());
    assert!(hunks.starts_with("@@ -1,2000 +1,2000 @@\n-1\n"), "{hunks}");
    assert!(hunks.contains("\n-2000\n+2000\n"), "{hunks}");
    assert_eq!(patched(&old, &hunks), new);
}

#[test]
fn a_changed_line_in_a_large_file_costs_no_more_than_looking_at_the_file() {
    let old: String = (0..2_500)
        .map(|number| format!("    let value = compute({number}, 1_000_000);\n"))
        .collect();
    assert!(old.len() > 100_000);
    let new = old.replacen("(1250,", "(changed,", 1);
    let best = (0..50).map(|_| {
        let started = Instant::now();
        assert!(
            fenced_patch("f", old.as_bytes(), new.as_bytes())
                .contains("+    let value = compute(changed")
        );
        started.elapsed()
    });
    // Without optimisation it is twenty times as slow.
    let bound = Duration::from_millis(if cfg!(debug_assertions) { 50 } else { 1 });
    assert!(best.min().unwrap() < bound);
}

#[test]
fn a_patch_of_anything_ends_soon_and_is_bounded() {
    let started = Instant::now();
    // Every line is there twice, at other places, and none may be left out: the worst for the shortest way.
    let old: String = (0..300_000).map(|number| format!("{number}\n")).collect();
    let new: String = (0..300_000)
        .map(|number| format!("{}\n", number * 7 % 300_000))
        .collect();
    let text = fenced_patch("f", old.as_bytes(), new.as_bytes());
    assert!(text.len() < MAX_PATCH_BYTES + 200);
    let note = "\n… the rest of the diff was left out: it has more than 1048576 bytes\n```\n\n";
    assert!(text.ends_with(note));
    // One line that has no room.
    let text = fenced_patch("f", b"a\n", &vec![b'b'; 9 << 20]);
    let expected = format!("```diff\n{HEAD}@@ -1,1 +1,1 @@\n-a{note}");
    assert_eq!(text, expected);
    // More lines than are compared.
    let (old, new) = ("a\n".repeat(8 << 20), "b\n".repeat(8 << 20));
    assert!(fenced_patch("f", old.as_bytes(), new.as_bytes()).ends_with(note));
    assert!(started.elapsed() < Duration::from_secs(10));
}
