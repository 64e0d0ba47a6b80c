//! Both ends of a WebSocket as streams of bytes, over pipes of any width.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

async fn pair(
    buffer: usize,
) -> (
    ByteStream<DuplexStream>,
    ByteStream<DuplexStream>,
    Closer<DuplexStream>,
) {
    let (left, right) = duplex(buffer);
    let client = WebSocketStream::from_raw_socket(left, Role::Client, Some(config())).await;
    let (server, closer) = ByteStream::of_server(right).await;
    (ByteStream::new(client), server, closer)
}

#[tokio::test]
async fn what_is_written_without_a_flush_arrives() {
    let (mut client, mut server, _closer) = pair(1 << 16).await;
    for text in [&b"one"[..], b"two"] {
        client.write_all(text).await.unwrap();
        let mut read = [0; 3];
        server.read_exact(&mut read).await.unwrap();
        assert_eq!(read, text);
        server.write_all(text).await.unwrap();
        client.read_exact(&mut read).await.unwrap();
        assert_eq!(read, text);
    }
}

#[tokio::test]
async fn much_passes_both_ways_at_once_through_a_narrow_pipe() {
    const LENGTH: usize = 3 << 20;
    let (client, server, _closer) = pair(1_000).await;
    let sent: Vec<u8> = (0..LENGTH).map(|at| (at * 31 % 251) as u8).collect();
    let echo = tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(server);
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    });
    let (mut reader, mut writer) = tokio::io::split(client);
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer
    });
    let mut got = vec![0; LENGTH];
    reader.read_exact(&mut got).await.unwrap();
    assert!(got == expected);
    writing.await.unwrap().shutdown().await.unwrap();
    echo.await.unwrap();
}

#[tokio::test]
async fn a_closer_says_why_once_the_stream_is_gone() {
    let (left, right) = duplex(1_024);
    let mut client = WebSocketStream::from_raw_socket(left, Role::Client, None).await;
    let (mut server, closer) = ByteStream::of_server(right).await;
    server.shutdown().await.unwrap();
    drop(server);
    closer
        .close(CloseCode::Policy, "the token was revoked")
        .await;
    let frame = futures_util::StreamExt::next(&mut client).await;
    match frame {
        Some(Ok(Message::Close(Some(frame)))) => {
            assert_eq!(frame.code, CloseCode::Policy);
            assert_eq!(&*frame.reason, "the token was revoked");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn text_and_what_is_too_long_are_refused_with_their_own_codes() {
    for (message, code) in [
        (Message::text("x"), CloseCode::Unsupported),
        (
            Message::binary(vec![0; MAX_MESSAGE_BYTES + 1]),
            CloseCode::Size,
        ),
    ] {
        let (left, right) = duplex(1 << 22);
        let mut client = WebSocketStream::from_raw_socket(left, Role::Client, None).await;
        let (mut server, closer) = ByteStream::of_server(right).await;
        client.send(message).await.unwrap();
        assert!(server.read(&mut [0; 8]).await.is_err());
        drop(server);
        closer.close(CloseCode::Normal, "").await;
        let frame = futures_util::StreamExt::next(&mut client).await;
        let Some(Ok(Message::Close(Some(frame)))) = frame else {
            panic!("{frame:?}");
        };
        assert_eq!(frame.code, code);
    }
}

const SOON: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_peer_that_gives_no_sign_of_life_ends_the_stream() {
    let (left, right) = duplex(1 << 16);
    let (server, _closer) = ByteStream::of_server(right).await;
    let mut server = server.pinging_every(SOON);
    let read = server.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(read.kind(), io::ErrorKind::TimedOut);
    drop(left);
}

#[tokio::test]
async fn a_peer_that_is_there_may_be_silent() {
    let (mut client, server, _closer) = pair(1 << 16).await;
    let mut server = server.pinging_every(SOON);
    let there = tokio::spawn(async move {
        let _ = client.read(&mut [0; 8]).await;
    });
    let silence = timeout(30 * SOON, server.read(&mut [0; 8])).await;
    assert!(silence.is_err(), "{silence:?}");
    there.abort();
}
