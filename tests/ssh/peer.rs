//! A client that does what it is told.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelMsg};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::server::Fixture;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Peer {
    pub handle: Handle<Anyone>,
}

/// Takes whatever key the server has, and grants nothing.
pub struct Anyone;

impl client::Handler for Anyone {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

impl Peer {
    /// Over TCP as `agent`.
    pub async fn connect(fixture: &Fixture) -> Self {
        Self::connect_with(fixture, client::Config::default()).await
    }

    pub async fn connect_with(fixture: &Fixture, config: client::Config) -> Self {
        let stream = TcpStream::connect(fixture.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut peer = Self::over(stream, config).await;
        let accepted = peer.handle.authenticate_password("agent", "secret").await;
        assert!(accepted.unwrap().success());
        peer
    }

    /// Over any stream, not authenticated.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        config: client::Config,
    ) -> Self {
        let handle = client::connect_stream(Arc::new(config), stream, Anyone).await;
        Self {
            handle: handle.unwrap(),
        }
    }

    pub async fn session(&self) -> Channel<Msg> {
        self.handle.channel_open_session().await.unwrap()
    }

    pub async fn run(&self, command: &str) -> Done {
        let mut channel = self.session().await;
        channel.exec(true, command).await.unwrap();
        channel.eof().await.unwrap();
        rest(&mut channel).await
    }
}

/// What a command printed, and how it ended.
#[derive(Debug, Default)]
pub struct Done {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub status: Option<u32>,
    pub refused: bool,
}

/// Everything until the channel closes.
pub async fn rest(channel: &mut Channel<Msg>) -> Done {
    let mut done = Done::default();
    let reading = async {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => done.stdout.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, .. } => done.stderr.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => done.status = Some(exit_status),
                ChannelMsg::Failure => {
                    done.refused = true;
                    break;
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    done
}

/// Reads until a text was printed.
pub async fn until(channel: &mut Channel<Msg>, expected: &str) {
    let mut printed = String::new();
    let reading = async {
        while !printed.contains(expected) {
            match channel.wait().await {
                Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                    printed.push_str(&String::from_utf8_lossy(&data));
                }
                Some(_) => {}
                None => panic!("it ended"),
            }
        }
    };
    let came = tokio::time::timeout(PATIENCE, reading).await;
    assert!(came.is_ok(), "{expected:?} in {printed:?}");
}
