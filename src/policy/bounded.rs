//! Keeps a judgement within bounds. The parser recurses and can take exponential time, so it works on a thread with a
//! known stack, for a known time, on texts whose nesting was counted first. Where it does not finish, the token
//! reader judges, whose time is linear.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::shell::{ReadBy, Shell, Stop, Stream};
use super::{MAX_PARSED, PolicyContext, Refusal, rules};

/// How long the parser may take.
const PARSER_TIME: Duration = Duration::from_millis(20);
/// Address space for a judgement's stack; only what is used becomes memory.
const STACK: usize = 64 << 20;
/// Most parsers at work at once, those included that did not finish in time.
const MAX_PARSERS: usize = 16;
/// Most characters in a text that can open something, counted without regard to quotes: whatever a text does to
/// mislead the count of nesting, the parser cannot go deeper than this.
const MAX_OPENERS: usize = 1_000;
/// Most `((` and most `case`, each of which can double the parser's time, counted likewise.
const MAX_DOUBLE: usize = 20;
const MAX_CASES: usize = 6;

/// The work that a judgement may cost, in units of about 5 ns: a byte read once is one unit. It is enough for some
/// ten thousand commands.
const FUEL: usize = 4_000_000;

/// Most characters that end a command, counted likewise: the parser needs up to 15 µs for each.
const MAX_ENDS: usize = 1_500;

static PARSERS: AtomicUsize = AtomicUsize::new(0);

/// Judges a command that needs to be read.
pub(super) fn judge(command: &str, context: &PolicyContext<'_>) -> Result<(), Refusal> {
    if is_parsable(command) && PARSERS.fetch_add(1, Ordering::AcqRel) < MAX_PARSERS {
        let deadline = Instant::now() + PARSER_TIME;
        let outcome = on_thread(command, context, ReadBy::Parser, Some(deadline));
        if let Some(Some(verdict)) = outcome {
            return verdict;
        }
    } else if is_parsable(command) {
        PARSERS.fetch_sub(1, Ordering::AcqRel);
    }
    match on_thread(command, context, ReadBy::Tokens, None) {
        Some(Some(verdict)) => verdict,
        _ => Err(rules::too_deep(command)),
    }
}

/// Judges on a thread of its own. `None`: it did not finish, or failed; `Some(None)`: the work ran over.
#[allow(
    clippy::option_option,
    reason = "the two ways to have no verdict are told apart by the caller's next step"
)]
fn on_thread(
    command: &str,
    context: &PolicyContext<'_>,
    read_by: ReadBy,
    deadline: Option<Instant>,
) -> Option<Option<Result<(), Refusal>>> {
    let (root, cwd) = (context.root_dir.to_vec(), context.cwd.to_vec());
    let refuse_outside_writes = context.refuse_outside_writes;
    let text = command.to_owned();
    let (sender, receiver) = mpsc::sync_channel(1);
    let work = move || {
        let _parser = Running(read_by);
        let context = PolicyContext {
            root_dir: &root,
            cwd: &cwd,
            refuse_outside_writes,
        };
        let _ = sender.send(judge_here(&text, &context, read_by, deadline));
    };
    let started = std::thread::Builder::new()
        .name("agent-backend-policy".to_owned())
        .stack_size(STACK)
        .spawn(work);
    if started.is_err() && read_by == ReadBy::Parser {
        PARSERS.fetch_sub(1, Ordering::AcqRel);
    }
    started.ok()?;
    match deadline {
        Some(deadline) => receiver
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .ok(),
        None => receiver.recv().ok(),
    }
}

/// Counts a parser as long as it works.
struct Running(ReadBy);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0 == ReadBy::Parser {
            PARSERS.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Judges on this thread; `None` where the work ran over.
pub(super) fn judge_here(
    command: &str,
    context: &PolicyContext<'_>,
    read_by: ReadBy,
    deadline: Option<Instant>,
) -> Option<Result<(), Refusal>> {
    let mut shell = Shell::new(*context, read_by, deadline, FUEL);
    match shell.script(command, &Stream::default()) {
        Ok(_) => Some(Ok(())),
        Err(Stop::Refused(refusal)) => Some(Err(refusal)),
        Err(Stop::Overrun) => None,
    }
}

/// Whether the parser may see a text, by counts that no quoting can mislead.
pub(super) fn is_parsable(text: &str) -> bool {
    if text.len() > MAX_PARSED {
        return false;
    }
    let bytes = text.as_bytes();
    let (mut openers, mut double, mut cases, mut ends) = (0usize, 0usize, 0usize, 0usize);
    for (at, &byte) in bytes.iter().enumerate() {
        let rest = &bytes[at + 1..];
        openers += usize::from(match byte {
            b'(' | b'{' | b'[' | b'`' | b'!' => true,
            b'i' => rest.starts_with(b"f"),
            b'f' => rest.starts_with(b"or"),
            b'w' => rest.starts_with(b"hile"),
            b'u' => rest.starts_with(b"ntil"),
            b'c' => rest.starts_with(b"oproc"),
            b's' => rest.starts_with(b"elect"),
            _ => false,
        });
        ends += usize::from(matches!(byte, b';' | b'&' | b'|' | b'\n'));
        cases += usize::from(byte == b'c' && rest.starts_with(b"ase"));
        double += usize::from(byte == b'(' && rest.trim_ascii_start().starts_with(b"("));
    }
    ends <= MAX_ENDS && openers <= MAX_OPENERS && double <= MAX_DOUBLE && cases <= MAX_CASES
}
