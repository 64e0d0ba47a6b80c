//! The texts made to hurt the judge, by name.

/// Enough for a text of 1 MiB; a build without optimisation is spared some.
const MANY: usize = if cfg!(debug_assertions) {
    12_000
} else {
    110_000
};

pub fn bombs() -> Vec<(String, String)> {
    let mut bombs = Vec::new();
    let mut add = |name: &str, text: String| bombs.push((name.to_owned(), format!("date; {text}")));
    for opener in [
        "(",
        "((",
        "{ ",
        "{",
        "$(",
        "$((",
        "`",
        "\"$(",
        "\"",
        "'",
        "${x:-",
        "${x:-\"",
        "if ",
        "while ",
        "until true; do ",
        "for x in y; do ",
        "case x in y) ",
        "select x in y; do ",
        "! ",
        "time ",
        "coproc ",
        "[[ ",
        "[[ ( ",
        "[[ ! ",
        "<(",
        ">(",
        "f() ",
        "f() { ",
        "function f { ",
        "bash -c '",
        "eval \"",
        "env ",
        "xargs ",
        "<<",
        "<<<",
        "<<E\n",
        "\\",
        "\\\n",
        "$'",
        "$",
        "{a,",
        "{a,b}",
        "a=(",
        "a=$a",
        "if if ",
        "( ( ",
        "`\\`",
        "$(($(",
        "((a=$((",
        "*(",
        "@(",
        "!(a|",
        "x[",
        "$[",
        "\0",
        "\u{e9}",
        "&& ",
        "| ",
        ";",
        "a;",
        "a\n",
        "a|",
        "a&&",
        "elif ",
        "then ",
        "do ",
        "done ",
        "fi ",
        "}",
        ")",
        "esac ",
        ">a ",
        "2>&1 ",
        "#",
        "find . -exec ",
        "cat <<E |",
        "x=1 ",
        "$x",
        "${x}",
        "*",
        "a=$b$b;b=$a$a;",
        "f(){ g;g;};g(){ f;f;};f;",
        "echo $(",
        "sudo_ ",
    ] {
        for repeat in [10, 16, 30, 300, 2_000, 20_000] {
            let text = opener.repeat(repeat);
            if text.len() < 1 << 20 {
                add(&format!("{opener:?} x {repeat}"), text);
            }
        }
    }
    for (open, close) in [
        ("(", ")"),
        ("((", "))"),
        ("{ ", ";}"),
        ("$(", ")"),
        ("\"$(", ")\""),
        ("if a; then ", ";fi"),
        ("[[ ( ", " ) ]]"),
    ] {
        for depth in [8, 12, 15, 16, 17, 100] {
            add(
                &format!("{open}…{close} {depth}"),
                format!("{}a{}", open.repeat(depth), close.repeat(depth)),
            );
        }
    }
    add(
        "short commands",
        "echo some short command with words here;\n".repeat(25_000),
    );
    add("removals", "rm -rf ./build/x;\n".repeat(50_000));
    add("one long word", "x".repeat(1_000_000));
    add("many words", "a ".repeat(500_000));
    add(
        "one long document",
        format!(
            "cat > f <<'E'\n{}E\n",
            "it's ((( a `line $( of text {\n".repeat(30_000)
        ),
    );
    add(
        "one long expanded document",
        format!("cat > f <<E\n{}E\n", "a line of $text\n".repeat(50_000)),
    );
    add("many documents", "cat <<E\nx\nE\n".repeat(50_000));
    add("documents without end", "cat <<E\n".repeat(50_000));
    add(
        "a document for a shell",
        format!("bash <<'E'\n{}E\n", "rm -rf ./a\n".repeat(50_000)),
    );
    for program in [
        "rm -rf",
        "chmod -R 777",
        "chown -R x",
        "cp",
        "mv",
        "tee",
        "touch",
        "shred",
        "kill",
        "rsync --delete",
        "dd",
        "tar xf",
        "sed -i x",
        "nc",
        "socat",
        "systemctl",
        "iptables",
        "mkfs.ext4",
        "date",
        "mount",
        "find",
        "xargs rm -r",
        "install -m 4755",
        "setpriv",
        "env",
        "bash -c x",
        "bash <",
        "echo >",
    ] {
        add(
            &format!("{program} of many"),
            format!("{program} {}", "a/b/../c ".repeat(MANY)),
        );
        add(
            &format!("{program} of many, often"),
            format!("{program} a ../b /c/d;").repeat(MANY / 3),
        );
    }
    for (open, many, close) in [("{", ",", "}"), ("{a", ",b", "}{c,d}"), ("x{1..9", "", "}")] {
        add(
            &format!("braces {open}{many}{close} and a long word"),
            format!(
                "echo {open}{}{close}{}",
                many.repeat(200_000),
                "y".repeat(500_000)
            ),
        );
    }
    for text in [
        "/*/?a*b x;",
        "> /a/b/c;",
        "f(){ f|f; };",
        "while a; do b & done;",
        "X=/a;> $X;",
        "cat <&5;",
        "exec 5<>a;",
        "yes|xargs -P0 a;",
        "{1..9999999}",
        "{a..z}{a..z}{a..z}",
        "x=$x$x$x;",
        "X=a$X$X;echo $X;",
        "> {a,b,c,d};",
        "$(case x in x) ",
        "$(case ",
        "case x in x) a;; esac;",
        "time time nice env ",
        "for ((;;)); do x & done;",
    ] {
        add(
            &format!("{text} often"),
            text.repeat((1 << 20) / text.len() - 16),
        );
        add(&format!("{text} a hundred times"), text.repeat(100));
    }
    add(
        "quotes that hide openers",
        format!("{}{}", "'('\")\"".repeat(5_000), "(".repeat(30)),
    );
    bombs
}
