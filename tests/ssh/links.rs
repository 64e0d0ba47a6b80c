//! The two names in `SSH_FXP_SYMLINK`, which clients send in one order or the other by who they are.

use std::borrow::Cow;
use std::path::Path;

use agent_backend::wire::sftp::{FromClient, FromServer, Request, Response, Splitter, StatusCode};
use bytes::BytesMut;
use russh::{SshId, client};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::peer::Peer;
use crate::server::Fixture;

/// Sends these two names, in this order, as a client of this name; tells how that went.
async fn link(fixture: &Fixture, client: &'static str, first: &str, second: &str) -> StatusCode {
    let config = client::Config {
        client_id: SshId::Standard(Cow::Borrowed(client)),
        ..client::Config::default()
    };
    let channel = Peer::connect_with(fixture, config).await.session().await;
    channel.request_subsystem(true, "sftp").await.unwrap();
    let mut stream = channel.into_stream();
    let mut sent = BytesMut::new();
    FromClient::encode_init(&mut sent);
    let request = Request::Symlink {
        target: first.to_owned().into(),
        link: second.to_owned().into(),
    };
    request.encode(7, &mut sent);
    stream.write_all(&sent).await.unwrap();
    let mut splitter = Splitter::default();
    loop {
        while let Some(packet) = splitter.next_packet().unwrap() {
            if let FromServer::Response { id: 7, response } = FromServer::decode(packet).unwrap() {
                let Response::Status { code, .. } = response else {
                    panic!("{response:?}");
                };
                return code;
            }
        }
        assert!(stream.read_buf(splitter.buffer()).await.unwrap() > 0);
    }
}

#[test]
fn a_link_is_made_where_the_client_of_that_name_means_it() {
    let fixture = Fixture::new();
    fixture.runtime().block_on(async {
        for (client, first, second) in [
            ("SSH-2.0-OpenSSH_9.2p1 Debian-2", "target", "link"),
            ("SSH-2.0-paramiko_3.5.0", "target", "link"),
            ("SSH-2.0-libssh2_1.11.1", "target", "link"),
            ("SSH-2.0-never-heard-of", "target", "link"),
            ("SSH-2.0-ssh2js1.17.0", "link", "target"),
            ("SSH-2.0-libssh_0.11.1", "link", "target"),
            ("SSH-2.0-WinSCP_release_6.5", "link", "target"),
        ] {
            let done = link(&fixture, client, first, second).await;
            assert_eq!(done, StatusCode::Ok, "{client}");
            let made = fixture.root().join("link");
            let target = std::fs::read_link(&made).unwrap();
            assert_eq!(target, Path::new("target"), "{client}");
            std::fs::remove_file(made).unwrap();
        }
    });
}
