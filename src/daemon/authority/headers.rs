//! What a request says about who sends it and where it wants to act. Each header is there once or not at all, and is
//! taken as it stands: nothing is decoded, trimmed or normalised.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

const SCOPE: HeaderName = HeaderName::from_static("x-scope-path");
const ROOT: HeaderName = HeaderName::from_static("x-root-dir");
const SCHEME: &[u8] = b"bearer ";
const MAX_PATH: usize = 4_096;

/// Why a request is malformed.
pub(super) type Malformed = String;

/// The token of a request; `None` where there is none.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Malformed> {
    let Some(value) = single(headers, &AUTHORIZATION)? else {
        return Ok(None);
    };
    let value = value.as_bytes();
    let token = match value.get(..SCHEME.len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => &value[SCHEME.len()..],
        // Another scheme is no token of ours.
        _ => return Ok(Some(b"")),
    };
    Ok(Some(token))
}

/// The token of a query string, as it stands.
pub(super) fn query_token(query: Option<&str>) -> Option<&[u8]> {
    let mut tokens = query?
        .split('&')
        .filter_map(|part| part.strip_prefix("token="));
    let token = tokens.next()?;
    tokens.next().is_none().then_some(token.as_bytes())
}

/// `X-Scope-Path`.
pub(super) fn scope(headers: &HeaderMap) -> Result<Option<&[u8]>, Malformed> {
    let Some(value) = single(headers, &SCOPE)? else {
        return Ok(None);
    };
    check_scope(value.as_bytes()).map_err(|why| format!("X-Scope-Path {why}"))?;
    Ok(Some(value.as_bytes()))
}

/// `X-Root-Dir`.
pub(super) fn root_dir(headers: &HeaderMap) -> Result<Option<&[u8]>, Malformed> {
    let Some(value) = single(headers, &ROOT)? else {
        return Ok(None);
    };
    let path = value.as_bytes();
    let malformed = |why: &str| Err(format!("X-Root-Dir {why}"));
    if !path.starts_with(b"/") {
        return malformed("must be an absolute path");
    }
    if path != b"/"
        && let Err(why) = check_scope(&path[1..])
    {
        return malformed(why);
    }
    Ok(Some(path))
}

/// Whether a path below a root is one that we take.
pub(super) fn check_scope(path: &[u8]) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("must not be empty");
    }
    if path.len() > MAX_PATH {
        return Err("is too long");
    }
    if path.starts_with(b"/") {
        return Err("must be relative");
    }
    if std::str::from_utf8(path).is_err() {
        return Err("must be UTF-8");
    }
    if path.iter().any(|byte| byte.is_ascii_control()) {
        return Err("must have no control characters");
    }
    if path.contains(&b'%') {
        return Err("must not be percent-encoded");
    }
    if path.contains(&b'\\') {
        return Err("must have no backslash");
    }
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" => return Err("must have no empty parts"),
            b"." | b".." => return Err("must have no parts `.` or `..`"),
            _ => {}
        }
    }
    Ok(())
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Malformed> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(format!("{name} is there twice"));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str, values: &[&'static [u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_token_comes_once_with_its_scheme_in_any_case() {
        for (values, expected) in [
            (&[][..], Ok(None)),
            (&[&b"Bearer abc"[..]], Ok(Some(&b"abc"[..]))),
            (&[b"bEARER abc"], Ok(Some(b"abc"))),
            (&[b"Bearer  abc"], Ok(Some(b" abc"))),
            (&[b"Bearer"], Ok(Some(b""))),
            (&[b"Basic abc"], Ok(Some(b""))),
            (&[b""], Ok(Some(b""))),
        ] {
            assert_eq!(bearer(&of("authorization", values)), expected, "{values:?}");
        }
        assert!(bearer(&of("authorization", &[b"Bearer a", b"Bearer a"])).is_err());
    }

    #[test]
    fn a_scope_is_taken_as_it_stands_or_not_at_all() {
        for good in ["a", "users/1", "a b", ".hidden", "a..b", "...", "ä", "a,b"] {
            let headers = of("x-scope-path", &[good.as_bytes()]);
            assert_eq!(scope(&headers).unwrap(), Some(good.as_bytes()));
        }
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/../b", "./a", "a/.", "%2e",
            "a%2fb", "a\\b", "a\tb",
        ] {
            let headers = of("x-scope-path", &[bad.as_bytes()]);
            assert!(scope(&headers).is_err(), "{bad}");
        }
        assert!(scope(&of("x-scope-path", &[b"a\xff"])).is_err());
        assert!(scope(&of("x-scope-path", &[b"a", b"a"])).is_err());
        assert!(check_scope(&[b'a'; MAX_PATH + 1]).is_err());
        assert!(check_scope(b"a\0b").is_err());
    }

    #[test]
    fn a_root_is_absolute() {
        for (value, is_good) in [
            ("/", true),
            ("/w", true),
            ("/w/a b", true),
            ("w", false),
            ("", false),
            ("/w/", false),
            ("//w", false),
            ("/w/../x", false),
            ("/w%2fx", false),
        ] {
            let headers = of("x-root-dir", &[value.as_bytes()]);
            assert_eq!(root_dir(&headers).is_ok(), is_good, "{value}");
        }
    }

    #[test]
    fn a_query_has_one_token_or_none() {
        for (query, expected) in [
            (None, None),
            (Some(""), None),
            (Some("token=abc"), Some(&b"abc"[..])),
            (Some("a=b&token=abc&c"), Some(b"abc")),
            (Some("token=a&token=b"), None),
            (Some("xtoken=a"), None),
        ] {
            assert_eq!(query_token(query), expected, "{query:?}");
        }
    }
}
