//! Bytes in both directions, once a tunnel is allowed: the first ones read for TLS, all of them bounded in memory and time.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout_at};

use super::decision::{Reason, Verdict};
use super::gate::{Gate, Opened, Wish};
use super::incoming::{BLOCK, Incoming};
use super::tls::{self, Opening};

/// A fatal TLS alert, `access_denied`: the client then says so instead of "connection closed".
const TLS_ACCESS_DENIED: [u8; 7] = [21, 3, 1, 0, 2, 2, 49];

/// When something last moved on a connection.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    moved: AtomicU64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            moved: AtomicU64::new(0),
        }
    }

    pub(super) fn moved(&self) {
        let now = self.began.elapsed().as_millis();
        self.moved
            .store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits until nothing has moved for so long.
    pub(super) async fn stands_still(&self, limit: Duration) {
        loop {
            let moved = self.began + Duration::from_millis(self.moved.load(Ordering::Relaxed));
            let until = moved + limit;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// Why a direction of a tunnel ended before its end.
enum Broken {
    Denied(Reason),
    Io,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Broken::Io
    }
}

/// Carries bytes until both sides have ended, one fails, nothing moves for too long, or TLS for another host begins.
pub(super) async fn run(
    gate: &Gate,
    wish: &Wish,
    opened: Opened,
    client: &mut Incoming<ReadHalf<'_>>,
    client_out: &mut WriteHalf<'_>,
) {
    let Opened {
        mut stream,
        address,
    } = opened;
    let (mut server, mut server_out) = stream.split();
    let pace = Pace::new();
    let answered = AtomicU64::new(0);
    let up = async {
        judge_opening(gate, wish, client, &pace).await?;
        let early = client.take(usize::MAX);
        server_out.write_all(&early).await?;
        drop(early);
        pace.moved();
        copy(client.inner(), &mut server_out, &pace, None).await?;
        Ok::<_, Broken>(server_out.shutdown().await?)
    };
    let down = async {
        copy(&mut server, client_out, &pace, Some(&answered)).await?;
        Ok::<_, Broken>(client_out.shutdown().await?)
    };
    let both = async { tokio::try_join!(up, down) };
    let outcome = tokio::select! {
        outcome = both => outcome.map(|_| ()),
        () = pace.stands_still(gate.options.limits.idle_time) => Err(Broken::Io),
    };
    if let Err(Broken::Denied(reason)) = outcome {
        gate.report(wish, Verdict::Denied(reason), Some(address));
        if answered.load(Ordering::Relaxed) == 0 {
            let _ = client_out.try_write(&TLS_ACCESS_DENIED);
        }
    }
}

/// Reads the first bytes of the client until it is clear that they may travel on.
async fn judge_opening(
    gate: &Gate,
    wish: &Wish,
    client: &mut Incoming<ReadHalf<'_>>,
    pace: &Pace,
) -> Result<(), Broken> {
    // A server may speak first: for the first byte there is no limit but the idle time.
    let mut deadline = None;
    loop {
        let wanted = match tls::opening(client.buffered()) {
            Opening::NotTls => return Ok(()),
            Opening::Invalid(why) => return Err(Broken::Denied(Reason::InvalidHello(why))),
            Opening::Hello(hello) => return hello.judge(&wish.host).map_err(Broken::Denied),
            Opening::Incomplete(wanted) => wanted,
        };
        while client.buffered().len() < wanted {
            let read = match deadline {
                None => client.fill().await?,
                Some(deadline) => timeout_at(deadline, client.fill())
                    .await
                    .map_err(|_| Broken::Denied(Reason::HeaderTooSlow))??,
            };
            if read == 0 {
                // What never became a ClientHello goes nowhere.
                client.take(usize::MAX);
                return Ok(());
            }
            pace.moved();
            deadline.get_or_insert_with(|| Instant::now() + gate.options.limits.header_time);
        }
    }
}

/// Copies until the end of the stream, a block at a time: a slow reader holds up the other side, not our memory.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    pace: &Pace,
    count: Option<&AtomicU64>,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let length = from.read(&mut block).await?;
        if length == 0 {
            return Ok(());
        }
        if let Some(count) = count {
            count.fetch_add(length as u64, Ordering::Relaxed);
        }
        let mut rest = &block[..length];
        while !rest.is_empty() {
            let written = to.write(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            pace.moved();
            rest = &rest[written..];
        }
    }
}
