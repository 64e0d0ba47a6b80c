//! The header fields of a request or answer, read strictly: what two readers could understand differently is refused.

/// More fields than any client sends.
const MAX_FIELDS: usize = 200;

/// Fields that are for one connection only, beside those that `Connection` names and all that begin with `proxy-`.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// One header field. The name is in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
}

/// All header fields, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<Field>);

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    /// Until the connection ends: answers only.
    UntilEnd,
}

/// What is wrong with a head.
pub(super) type Wrong = &'static str;

/// Splits a head, which ends with an empty line, into its first line and its fields.
pub(super) fn split_head(head: &[u8]) -> Result<(&[u8], Fields), Wrong> {
    let body = head
        .strip_suffix(b"\r\n\r\n")
        .ok_or("it has no empty line at its end")?;
    let mut lines = Vec::new();
    let mut rest = body;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let Some(end) = end else {
            lines.push(rest);
            break;
        };
        lines.push(&rest[..end]);
        rest = rest[end..]
            .strip_prefix(b"\r\n")
            .ok_or("a line end is not CR LF")?;
    }
    if lines.len() > MAX_FIELDS + 1 {
        return Err("it has too many fields");
    }
    let first = lines[0];
    let fields = lines[1..]
        .iter()
        .map(|line| parse_field(line))
        .collect::<Result<_, _>>()?;
    Ok((first, Fields(fields)))
}

fn parse_field(line: &[u8]) -> Result<Field, Wrong> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err("a field is folded over several lines");
    }
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or("a field has no colon")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err("the name of a field is no token");
    }
    let is_clean = |byte: &u8| *byte == b'\t' || !(*byte < 0x20 || *byte == 0x7f);
    if !value.iter().all(is_clean) {
        return Err("a field has a control character");
    }
    Ok(Field {
        name: String::from_utf8_lossy(name).to_ascii_lowercase(),
        value: trimmed(value).to_vec(),
    })
}

/// Whether it is a token of HTTP: a method, the name of a field.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

impl Fields {
    /// The value of a field that may stand there once at most.
    pub(super) fn once(&self, name: &str, twice: Wrong) -> Result<Option<&[u8]>, Wrong> {
        let mut found = self.0.iter().filter(|field| field.name == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(twice);
        }
        Ok(first.map(|field| field.value.as_slice()))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|field| field.name == name)
    }

    /// Whether a `Connection` field (or what some clients send to proxies in its stead) names this option.
    pub(super) fn connection_has(&self, option: &str) -> bool {
        self.0
            .iter()
            .filter(|field| matches!(field.name.as_str(), "connection" | "proxy-connection"))
            .flat_map(|field| field.value.split(|byte| *byte == b','))
            .any(|named| trimmed(named).eq_ignore_ascii_case(option.as_bytes()))
    }

    /// The fields that travel on: those that are about a connection, the host or the length of the body do not.
    pub(super) fn end_to_end(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().filter(|field| {
            let name = field.name.as_str();
            !(HOP_BY_HOP.contains(&name)
                || name.starts_with("proxy-")
                || matches!(name, "host" | "content-length")
                || self.connection_has(name))
        })
    }

    /// How the body is delimited, as far as the fields say; `None`: they do not say.
    pub(super) fn framing(&self, minor_version: u8) -> Result<Option<Framing>, Wrong> {
        let encoding = self.once("transfer-encoding", "Transfer-Encoding stands there twice")?;
        let length = self.once("content-length", "Content-Length stands there twice")?;
        match (encoding, length) {
            (Some(_), Some(_)) => Err("it has both Transfer-Encoding and Content-Length"),
            (Some(_), None) if minor_version == 0 => Err("HTTP/1.0 has no Transfer-Encoding"),
            (Some(encoding), None) if encoding.eq_ignore_ascii_case(b"chunked") => {
                Ok(Some(Framing::Chunked))
            }
            (Some(_), None) => Err("Transfer-Encoding is not 'chunked'"),
            (None, Some(length)) => Ok(Some(match parse_length(length)? {
                0 => Framing::Empty,
                length => Framing::Length(length),
            })),
            (None, None) => Ok(None),
        }
    }

    /// The declared length, where there is one: what an answer to `HEAD` has without a body.
    pub(super) fn content_length(&self) -> Option<u64> {
        let value = self.once("content-length", "").ok()??;
        (!self.has("transfer-encoding")).then(|| parse_length(value).ok())?
    }
}

fn parse_length(text: &[u8]) -> Result<u64, Wrong> {
    const WRONG: Wrong = "Content-Length is no number";
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return Err(WRONG);
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(WRONG)
}

/// `HTTP/1.0` or `HTTP/1.1`: the number after the dot.
pub(super) fn minor_version(text: &[u8]) -> Option<u8> {
    match text {
        b"HTTP/1.0" => Some(0),
        b"HTTP/1.1" => Some(1),
        _ => None,
    }
}
