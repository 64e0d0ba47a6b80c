//! What minimatch 10.2.6 answers, by topic: pattern, paths that match, paths that do not.

use super::Minimatch;

type Golden = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

fn check(goldens: &[Golden]) {
    for (pattern, matches, others) in goldens {
        let matcher = Minimatch::new(pattern).unwrap();
        for path in *matches {
            assert!(matcher.is_match(path), "'{pattern}' matches '{path}'");
            let depth = path.split('/').count();
            let reaches = matcher.max_components().is_none_or(|most| depth <= most);
            assert!(reaches, "'{pattern}' reaches '{path}'");
        }
        for path in *others {
            assert!(!matcher.is_match(path), "'{pattern}' matches no '{path}'");
        }
    }
}

#[test]
#[rustfmt::skip]
fn a_pattern_is_for_the_whole_path() {
    check(&[
        ("name", &["name"], &["a/name", "name/a", "Name", "names"]),
        ("src/a.ts", &["src/a.ts"], &["a.ts", "src/b/a.ts", "src"]),
        ("*", &["a", ".a", "a.b.c"], &["a/b"]),
        ("*.js", &["a.js", ".js"], &["a/b.js", "a.jsx", "A.JS"]),
        ("*/*", &["a/b", ".a/.b"], &["a", "a/b/c"]),
        ("src/*/index.ts", &["src/a/index.ts"], &["src/index.ts", "src/a/b/index.ts"]),
        ("*.*", &["a.b", ".a", "a."], &["a"]),
        (".*", &[".a", ".a.b", "..."], &["a"]),
        ("test_*.py", &["test_a.py", "test_.py"], &["test.py", "test_py"]),
        ("*foo*", &["foo", "afoob"], &["fo", "a/foo"]),
        ("a*b*c", &["abc", "axxbxxc", "abcbc"], &["acb", "ac"]),
        ("*a*a", &["aa", "aba"], &["a", "ab"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn two_stars_are_any_directories() {
    check(&[
        ("**", &["a", "a/b/c", ".a/.b"], &[]),
        ("**/*.ts", &["a.ts", "a/b/c.ts", ".ts"], &["a.ts/b"]),
        ("src/**/*.tsx", &["src/a.tsx", "src/a/b/c.tsx"], &["a.tsx", "src/a.ts"]),
        ("**/target/**", &["target/a", "a/target/b/c"], &["target", "a/target", "a/targetx/b"]),
        ("a/**", &["a/b", "a/b/c"], &["a", "b/a"]),
        ("**/a", &["a", "b/a"], &["a/b", "ba"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/bb"]),
        ("a/**/b/**/c", &["a/b/c", "a/x/b/y/c", "a/b/b/c/c"], &["a/c/b"]),
        ("**/**/a", &["a", "b/c/a"], &[]),
        ("**/*", &["a", "a/b"], &[]),
        ("*/**", &["a/b", "a/b/c"], &["a"]),
        ("**/a/**/a/**", &["a/a/x", "a/x/a/x", "x/a/x/a/x"], &["a/a"]),
        ("a**b", &["ab", "axb", "axxb"], &["a/b"]),
        ("**a/**", &["a/b", "ba/c"], &["b/a/c", "ba"]),
        ("***", &["a"], &["a/b"]),
        ("**/a/b/c/**/d/**", &["a/b/c/x/d/x", "a/b/c/x/x/d/x"], &["a/b/c/d/x"]),
        ("a/**/..", &[], &["a", "a/b"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn slashes_and_dots_are_taken_as_they_are_written() {
    check(&[
        ("a/", &[], &["a", "a/b"]),
        ("/a", &[], &["a", "b/a"]),
        ("./a", &[], &["a"]),
        ("a//b", &["a/b"], &["a"]),
        ("a/../b", &["b"], &["a/b"]),
        ("../a", &[], &["a"]),
        ("a/./b", &[], &["a/b"]),
        ("**/../a", &[], &["a", "b/a"]),
        ("*/../*.js", &["a.js"], &["b/a.js"]),
        ("**/", &[], &["a", "a/b"]),
        (".", &[], &["a"]),
        ("..", &[], &["a"]),
        ("", &[], &["a"]),
        ("/", &[], &["a"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_question_mark_is_one_code_unit() {
    check(&[
        ("?", &["a", "é"], &["😀", "ab", "..."]),
        ("??", &["😀", "ab"], &["a"]),
        ("?.js", &["a.js"], &[".js", "😀.js", "ab.js"]),
        ("a?c", &["abc"], &["ac", "a😀c", "a/c"]),
        ("a??c", &["a😀c", "abbc"], &[]),
        ("[[:alpha:]]?", &["a😀", "ab"], &["😀a"]),
        ("?[a]", &["ba"], &["😀a"]),
        ("?*", &["a", "ab", "😀"], &[]),
    ]);
}

#[test]
#[rustfmt::skip]
fn brackets_are_sets() {
    check(&[
        ("[abc]", &["a", "c"], &["d", "ab"]),
        ("[a-c]x", &["bx"], &["dx", "-x"]),
        ("[!a-c]", &["d"], &["a"]),
        ("[^a]", &["b"], &["a"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[!]a]", &["b"], &["]"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[-a]", &["-", "a"], &[]),
        ("[z-a]", &[], &["z", "a", "-"]),
        ("a[z-a]*", &[], &["a", "az"]),
        ("[b-ac]", &["c"], &["a", "b"]),
        ("[*]", &["*"], &["a"]),
        ("a[*]?", &["a*b"], &["aab"]),
        ("[a", &["[a"], &["a"]),
        ("[a/b]", &["[a/b]"], &["a"]),
        ("[\\]]", &["]"], &["\\"]),
        ("[\\^a]", &["b", "^"], &["a"]),
        ("[!\\^]", &["a"], &["^"]),
        ("[A-z]", &["a", "_"], &["1"]),
        ("[é-ü]", &["ê"], &["e"]),
        ("[😀]", &[], &["😀", "a"]),
        ("[😀][😀]", &["😀"], &["😀😀"]),
        ("[0-9]*.log", &["1.log", "12-x.log"], &["a1.log"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn named_classes_are_sets_of_unicode() {
    check(&[
        ("[[:alpha:]]", &["a", "é", "ß"], &["1", "_"]),
        ("[[:digit:]]", &["1", "٣"], &["a"]),
        ("[[:alnum:]_]*", &["a1", "_x"], &["-x"]),
        ("[![:digit:]]", &["a"], &["1"]),
        ("[[:upper:]]*", &["Ab", "Éa"], &["aB"]),
        ("[[:lower:]]", &["a", "é"], &["A"]),
        ("[[:space:]]", &[" ", "\u{a0}"], &["a"]),
        ("[[:blank:]]", &[" ", "\t"], &["\n"]),
        ("[[:punct:]]", &["!", "-"], &["$", "a"]),
        ("[[:word:]]", &["_", "a"], &["-"]),
        ("[[:xdigit:]]", &["f", "F", "1"], &["g"]),
        ("[[:ascii:]]", &["a"], &["é"]),
        ("[[:cntrl:]]", &["\u{1}"], &["a"]),
        ("[[:graph:]]", &["a"], &[" ", "\u{1}"]),
        ("[[:print:]]", &["\u{1}"], &["a"]),
        ("[a[:graph:]]", &["b"], &[" "]),
        ("[![:graph:]]", &[" "], &["a"]),
        ("[[:nope:]]", &["n]", ":]"], &["a"]),
        ("[a-[:alpha:]]", &[], &["a", "b"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_backslash_takes_a_meaning_away() {
    check(&[
        ("\\*", &["*"], &["a"]),
        ("a\\?", &["a?"], &["ab"]),
        ("\\[a]", &["[a]"], &["a"]),
        ("\\a", &["a"], &["\\a"]),
        ("a\\", &["a\\"], &["a"]),
        ("\\!a", &["!a"], &["b"]),
        ("\\#a", &["#a"], &["a"]),
        ("\\{a,b}", &["{a,b}"], &["a", "b"]),
        ("\\@(a)", &["@(a)"], &["a"]),
        ("*\\.js", &["a\\.js"], &["a.js"]),
        ("*[.]\\j", &["a.j"], &["a\\j"]),
        ("?\\.", &["a\\."], &["a.", "ab."]),
        ("a\\|b", &["a|b"], &["a"]),
        ("a\\|b*", &["axx", "b", "xb", "xbx"], &["c"]),
        ("@(a\\|b)", &["a", "b"], &["a|b"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn braces_are_alternatives() {
    check(&[
        ("{a,b}", &["a", "b"], &["c", "{a,b}"]),
        ("*.{ts,tsx}", &["a.ts", "a.tsx"], &["a.js"]),
        ("**/*.{js,{ts,tsx}}", &["a/b.tsx", "b.js"], &["b.jsx"]),
        ("{src,test}/**/*.{c,h}", &["src/a.c", "test/x/a.h"], &["lib/a.c"]),
        ("a{,b}", &["a", "ab"], &["b"]),
        ("{a}", &["{a}"], &["a"]),
        ("{a", &["{a"], &["a"]),
        ("{a,b", &["{a,b"], &["a"]),
        ("{}", &["{}"], &[]),
        ("a{}b", &["a{}b"], &["ab"]),
        ("{a},b}", &["a}", "b"], &["{a},b}"]),
        ("{}a,b}", &["{}a,b}"], &["b"]),
        ("${a,b}", &["${a,b}"], &["$a"]),
        ("{{a,b}}", &["{a}", "{b}"], &["a"]),
        ("{a/b,c}/d", &["a/b/d", "c/d"], &["b/d"]),
        ("{a\\,b,c}", &["a,b", "c"], &["a"]),
        ("{,}", &[], &["a", "{,}"]),
        ("@({a,b})", &["a", "b"], &["ab"]),
        ("{1..3}", &["1", "3"], &["4"]),
        ("{3..1}", &["2"], &["4"]),
        ("{01..10}", &["01", "10"], &["1"]),
        ("{-1..1}", &["-1", "0", "1"], &[]),
        ("{1..9..4}", &["1", "5", "9"], &["2"]),
        ("{a..e..2}", &["a", "c"], &["b"]),
        ("{a..3}", &["{a..3}"], &["a"]),
        ("x{a..c}y", &["xby"], &["xdy"]),
        ("{{a,c}..e}", &["a", "d"], &["{a..e}"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn extglobs_are_groups() {
    check(&[
        ("@(a|b)", &["a", "b"], &["ab", "@(a|b)"]),
        ("?(a|b)c", &["c", "ac", "bc"], &["abc"]),
        ("*(a|b)", &["a", "abba"], &["abc"]),
        ("+(a|b)c", &["abc"], &["c"]),
        ("+(ab|a)b", &["ab", "abb", "aab"], &["b"]),
        ("*.@(ts|tsx)", &["a.ts", "a.tsx"], &["a.js"]),
        ("x/!(a)", &["x/b", "x/aa", "x/.a"], &["x/a"]),
        ("x/!(a|b)", &["x/c", "x/ab"], &["x/a"]),
        ("x/!(a)b", &["x/b", "x/aab", "x/cb"], &["x/ab"]),
        ("x/!(*.test).ts", &["x/a.ts", "x/.ts"], &["x/a.test.ts"]),
        ("x/!(*.ts|*.js)", &["x/a.py"], &["x/a.ts"]),
        ("*!(a)", &["a", "ba"], &[]),
        ("a!(b)*", &["ac"], &["ab", "abc"]),
        ("x/!(a)*", &["x/a", "x/ba", "x/b"], &["x/ab"]),
        ("x/!(!(a))", &["x/a"], &["x/b"]),
        ("x/!(!(a))b", &[], &["x/ab", "x/b", "x/cb"]),
        ("x/!(a|)", &["x/a", "x/b"], &[]),
        ("x/!()", &["x/a"], &[]),
        ("x/!(a)!(b)", &["x/b", "x/ab", "x/c"], &["x/a"]),
        ("@(a|!(b)c)", &["a", "c", "xc"], &["bc"]),
        ("+(a|+(b|c))", &["abc", "cab"], &["d"]),
        ("*(+(a)|b)", &["aab"], &["c"]),
        ("@(a*|?b)", &["axx", "xb"], &["xa"]),
        ("@(*)", &["a"], &[]),
        ("+(*|b)", &["a", "b"], &[]),
        ("@()", &["@()"], &["a"]),
        ("*(|)", &["*(|)"], &["a"]),
        ("@()a", &["a"], &["@()a"]),
        ("a@(", &["a@("], &["a"]),
        ("@(a|b", &["@(a|b"], &["a"]),
        ("@(a/b)", &["@(a/b)"], &["a/b"]),
        ("@([)])", &[")"], &["a"]),
        ("@(a\\)b)", &["a)b"], &["a"]),
        ("@(+(a|!(b)))", &["aa", "c"], &["b"]),
        ("x/!(a)@()", &["x/b@", "x/a@"], &["x/a", "x/b"]),
        ("x/!(a)+()", &["x/b"], &["x/a"]),
        ("+(a)+(b)/**", &["aab/c", "ab/c/d"], &["ab"]),
        ("@(@(@(@(a))))", &["a"], &["b"]),
        ("x/!(@(+(?(a))))", &["x/a", "x/b"], &[]),
        ("x!(a)", &["x", "xb"], &["xa"]),
        ("?(x)!(a)", &["xa", "b", "xb"], &["a"]),
        ("**/!(*.test).ts", &["a.ts", "b/.ts"], &["b/a.test.ts"]),
        ("@(!(+(@(a))))", &["b", "@(a)"], &["a"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn an_exclamation_mark_in_front_negates() {
    check(&[
        ("!a", &["b", "a/b"], &["a"]),
        ("!!a", &["a"], &["b"]),
        ("!!!a", &["b"], &["a"]),
        ("!**/*.ts", &["a/b.js"], &["a.ts", "a/b.ts"]),
        ("!{a,b}", &["c"], &["a", "b"]),
        ("!", &["a"], &[]),
        ("!!", &[], &["a"]),
        ("!a/", &["a"], &[]),
        ("!(a)", &["a", "b"], &["(a)"]),
        ("!!(a|b)", &["(a|b)"], &["a"]),
        ("!#a", &["a"], &["#a"]),
        ("{!a,b}", &["!a", "b"], &["c"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_number_sign_in_front_is_a_comment() {
    check(&[
        ("#a", &[], &["#a", "a"]),
        ("#", &[], &["#"]),
        ("a#", &["a#"], &["a"]),
        ("{#a,b}", &["#a", "b"], &[]),
        ("*/#a", &["b/#a"], &[]),
    ]);
}
