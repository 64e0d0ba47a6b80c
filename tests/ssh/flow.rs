//! Much data, and new keys on the way.

use agent_backend::backend::local::command::Isolation;
use agent_backend::daemon::ssh::ServerOptions;
use russh::ChannelMsg;

use crate::alone::ran_alone;
use crate::bounds::resident;
use crate::peer::Peer;
use crate::server::Fixture;

#[test]
fn no_byte_of_a_gigabyte_is_lost_and_none_is_kept() {
    if ran_alone("flow::no_byte_of_a_gigabyte_is_lost_and_none_is_kept") {
        return;
    }
    let fixture = Fixture::new();
    fixture.runtime().block_on(async {
        let peer = Peer::connect(&fixture).await;
        assert_eq!(
            peer.run("head -c 33554432 /dev/zero").await.stdout.len(),
            32 << 20
        );
        let before = resident();
        let mut channel = peer.session().await;
        channel
            .exec(true, "head -c 1073741824 /dev/zero; echo end >&2; exit 4")
            .await
            .unwrap();
        let (mut count, mut stderr, mut status) = (0u64, Vec::new(), None);
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    assert!(data.iter().all(|&byte| byte == 0) || cfg!(debug_assertions));
                    count += data.len() as u64;
                }
                ChannelMsg::ExtendedData { data, .. } => stderr.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
        assert_eq!(
            (count, stderr.as_slice(), status),
            (1 << 30, &b"end\n"[..], Some(4))
        );
        let after = resident();
        assert!(after < before + (48 << 20), "{before} → {after} bytes");
    });
}

#[test]
fn new_keys_are_agreed_on_in_the_middle_of_both_directions() {
    let options = ServerOptions {
        rekey_bytes: 256 << 10,
        ..ServerOptions::default()
    };
    let fixture = Fixture::with(options, Isolation::None);
    fixture.runtime().block_on(async {
        let peer = Peer::connect(&fixture).await;
        let channel = peer.session().await;
        channel.exec(true, "cat").await.unwrap();
        let sent: Vec<u8> = (0..8 << 20).map(|at: u32| (at % 253) as u8).collect();
        let (mut reads, writes) = channel.split();
        let data = sent.clone();
        let writing = tokio::spawn(async move {
            writes.data_bytes(data).await.unwrap();
            writes.eof().await.unwrap();
        });
        let mut came = Vec::new();
        let reading = async {
            while let Some(message) = reads.wait().await {
                if let ChannelMsg::Data { data } = message {
                    came.extend_from_slice(&data);
                }
            }
        };
        tokio::time::timeout(crate::peer::PATIENCE, reading)
            .await
            .unwrap();
        writing.await.unwrap();
        assert!(came == sent, "{} of {} bytes", came.len(), sent.len());
        assert_eq!(peer.run("echo after").await.stdout, b"after\n");
    });
}
