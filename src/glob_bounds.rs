//! What a glob may cost, asked before anything compiles it: the globs of searches and of rules come from agents and files.

/// A longer pattern is refused: it costs more to compile than any honest one.
pub(crate) const MAX_PATTERN_BYTES: usize = 4096;
/// Braces nested deeper than this are refused.
const MAX_BRACE_DEPTH: usize = 8;

/// What is wrong with a pattern, as the end of a sentence.
pub(crate) fn problem(pattern: &str) -> Option<String> {
    if pattern.is_empty() {
        return Some("it is empty".to_owned());
    }
    if pattern.len() > MAX_PATTERN_BYTES {
        return Some(format!("it is longer than {MAX_PATTERN_BYTES} bytes"));
    }
    let mut depth = 0usize;
    let mut escaped = false;
    for byte in pattern.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_BRACE_DEPTH {
            return Some(format!(
                "its braces are nested deeper than {MAX_BRACE_DEPTH}"
            ));
        }
    }
    None
}
