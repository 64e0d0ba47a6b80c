//! Tokens and the file of them.

use super::*;
use crate::backend::memory::{MemoryBackend, MemoryOptions};
use crate::workspace::WorkspaceOptions;

fn served() -> Workspace {
    Workspace::new(
        MemoryBackend::new(MemoryOptions::default()).unwrap(),
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    )
}

fn complaint(text: &str) -> String {
    let error = parse(text.as_bytes()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
    let text = error.to_string();
    assert!(!text.contains('\n') && !text.contains("s3cret"), "{text}");
    text
}

#[test]
fn a_file_says_of_each_token_who_where_and_what() {
    let hex = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";
    let grants = parse(
        format!(
            r#"[{{ "token": "one-one-one", "name": "one" }},
                {{ "tokenSha256": "{hex}", "name": "two", "scope": "users/2", "rights": ["read"] }}]"#
        )
        .as_bytes(),
    )
    .unwrap();
    assert_eq!(grants[0].rights, Rights::ALL);
    assert!(!grants[0].is_scoped() && grants[1].is_scoped());
    assert!(grants[1].rights.read && !grants[1].rights.write && !grants[1].rights.exec);
    assert_eq!(grants[1].digest, hash(b"foo\n"));
}

#[test]
fn what_is_wrong_is_named_without_the_token() {
    for (text, expected) in [
        ("", "not a JSON list"),
        ("{}", "not a JSON list"),
        (
            r#"["s3cret"#,
            "not a JSON list of tokens, as [{ \"token\": …, \"name\": … }] (line 1, column 8)",
        ),
        ("[]", "no token"),
        (r#"["s3cret"]"#, "tokens[0]: a field has the wrong type"),
        (r#"[{"token":"s3cret","name":1}]"#, "wrong type"),
        (r#"[{"token":["s3cret"],"name":"a"}]"#, "wrong type"),
        (r#"[{"token":"s3cret"}]"#, "missing field `name`"),
        (r#"[{"name":"a"}]"#, "it needs token or tokenSha256"),
        (
            r#"[{"token":"s3cret","name":"a","x":1}]"#,
            "unknown field `x`",
        ),
        (
            r#"[{"token":"s3cret","tokenSha256":"00","name":"a"}]"#,
            "exclude each other",
        ),
        (r#"[{"tokenSha256":"00","name":"a"}]"#, "64 hexadecimal"),
        (r#"[{"token":"s3cret ","name":"a"}]"#, "printable ASCII"),
        (r#"[{"token":"","name":"a"}]"#, "empty"),
        (r#"[{"token":"s3cret","name":""}]"#, "name must be"),
        (r#"[{"token":"s3cret","name":"a\n"}]"#, "name must be"),
        (
            r#"[{"token":"s3cret","name":"a","scope":"../b"}]"#,
            "scope must have no parts",
        ),
        (
            r#"[{"token":"s3cret","name":"a","scope":"/b"}]"#,
            "scope must be relative",
        ),
        (
            r#"[{"token":"s3cret","name":"a","rights":["root"]}]"#,
            "unknown right `root`, expected one of `read`, `write`, `exec`",
        ),
        (
            r#"[{"token":"s3cret","name":"a"},{"token":"s3cret2","name":"a"}]"#,
            "tokens[1]: its name is taken",
        ),
        (
            r#"[{"token":"s3cret","name":"a"},{"token":"s3cret","name":"b"}]"#,
            "tokens[1]: its token is taken",
        ),
    ] {
        let said = complaint(text);
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn only_the_whole_token_is_found() {
    let tokens = Tokens::default();
    let stopped = CancellationToken::new();
    let grants = vec![Grant::everything("0123456789abcdef")];
    tokens.replace(grants, &served(), &stopped).unwrap();
    assert!(tokens.find(b"0123456789abcdef").is_some());
    for wrong in [
        &b""[..],
        b"0123456789abcde",
        b"0123456789abcdef0",
        b"0123456789abcdeF",
        b" 0123456789abcdef",
        &[0; 32],
    ] {
        assert!(tokens.find(wrong).is_none(), "{wrong:?}");
    }
    // That of a daemon without tokens is none.
    assert!(Tokens::default().find(b"").is_none());
}

#[test]
fn a_token_that_is_gone_or_means_something_else_is_revoked_and_others_stay() {
    let served = served();
    let tokens = Tokens::default();
    let stopped = CancellationToken::new();
    let list = |text: &str| parse(text.as_bytes()).unwrap();
    let first = list(
        r#"[{"token":"aaaaaaaa","name":"a"},{"token":"bbbbbbbb","name":"b"},{"token":"cccccccc","name":"c"}]"#,
    );
    assert_eq!(tokens.replace(first, &served, &stopped).unwrap(), 0);
    let [a, b, c] = [b"aaaaaaaa", b"bbbbbbbb", b"cccccccc"].map(|text| tokens.find(text).unwrap());
    let second = list(
        r#"[{"token":"bbbbbbbb","name":"b"},{"token":"cccccccc","name":"c","rights":["read"]}]"#,
    );
    assert_eq!(tokens.replace(second, &served, &stopped).unwrap(), 2);
    assert!(a.closed.is_cancelled() && c.closed.is_cancelled() && !b.closed.is_cancelled());
    assert!(tokens.find(b"aaaaaaaa").is_none());
    assert!(Arc::ptr_eq(&tokens.find(b"bbbbbbbb").unwrap(), &b));
    assert!(!tokens.find(b"cccccccc").unwrap().closed.is_cancelled());
    stopped.cancel();
    assert!(b.closed.is_cancelled());
}

#[test]
fn one_token_is_used_so_often_at_a_time_and_no_more() {
    let token = Token::new(
        Grant::everything("aaaaaaaa"),
        &served(),
        &CancellationToken::new(),
    );
    let token = token.unwrap();
    let mut uses: Vec<_> = (0..MAX_IN_FLIGHT).map(|_| token.use_once()).collect();
    assert!(uses.iter().all(Option::is_some));
    assert!(token.use_once().is_none());
    uses.pop();
    assert!(token.use_once().is_some());
}
