//! The head of a server's answer to a plain request.

use super::fields::{Fields, Framing, Wrong, minor_version, split_head};

/// An answer whose body's end is known.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) phrase: Vec<u8>,
    pub(super) fields: Fields,
    pub(super) framing: Framing,
}

impl Response {
    /// Reads a head, which ends with an empty line. `method` is that of the request: an answer to `HEAD` has no body.
    pub(super) fn parse(head: &[u8], method: &str) -> Result<Self, Wrong> {
        let (line, fields) = split_head(head)?;
        let (version, rest) = line
            .split_at_checked("HTTP/1.1".len())
            .ok_or("it is not HTTP")?;
        let minor_version = minor_version(version).ok_or("it is not HTTP/1")?;
        let [b' ', a, b, c, phrase @ ..] = rest else {
            return Err("it has no status");
        };
        let digits = [*a, *b, *c];
        if !digits.iter().all(u8::is_ascii_digit) || *a == b'0' {
            return Err("the status is no number");
        }
        let phrase = match phrase {
            [] => phrase,
            [b' ', phrase @ ..] => phrase,
            _ => return Err("the status has more than three digits"),
        };
        if phrase.iter().any(|byte| *byte < 0x20 && *byte != b'\t') {
            return Err("the first line has a control character");
        }
        let status = digits
            .iter()
            .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
        let declared = fields.framing(minor_version)?;
        let has_no_body = status < 200 || status == 204 || status == 304 || method == "HEAD";
        let framing = if has_no_body {
            Framing::Empty
        } else {
            declared.unwrap_or(Framing::UntilEnd)
        };
        Ok(Self {
            status,
            phrase: phrase.to_vec(),
            fields,
            framing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(head: &str, method: &str) -> Result<Framing, Wrong> {
        Response::parse(head.as_bytes(), method).map(|response| response.framing)
    }

    #[test]
    fn the_end_of_an_answer_is_known_from_its_head() {
        for (head, method, wanted) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                "GET",
                Framing::Length(5),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "GET",
                Framing::Empty,
            ),
            (
                "HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n",
                "GET",
                Framing::Chunked,
            ),
            ("HTTP/1.0 200 OK\r\n\r\n", "GET", Framing::UntilEnd),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                "HEAD",
                Framing::Empty,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", "GET", Framing::Empty),
            (
                "HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n",
                "GET",
                Framing::Empty,
            ),
            ("HTTP/1.1 100 Continue\r\n\r\n", "POST", Framing::Empty),
        ] {
            assert_eq!(framing(head, method), Ok(wanted), "{head:?}");
        }
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(framing(head, "GET").is_err(), "{head:?}");
        }
    }
}
