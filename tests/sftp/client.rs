//! A client that sends what it is told and gives back what comes.

use std::io;

use agent_backend::daemon::session::Session;
use agent_backend::daemon::sftp::{SymlinkOrder, serve};
use agent_backend::wire::sftp::{
    Entry, Extended, Extension, FileAttributes, FromClient, FromServer, OpenFlags, Request,
    Response, Splitter, StatusCode,
};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

/// Bytes that the pipe holds in each direction.
pub const PIPE: usize = 256 << 10;

pub const READ: OpenFlags = OpenFlags {
    read: true,
    write: false,
    append: false,
    create: false,
    truncate: false,
    exclusive: false,
};
pub const WRITE: OpenFlags = OpenFlags {
    read: false,
    write: true,
    create: true,
    truncate: true,
    ..READ
};

pub struct Client {
    pub stream: DuplexStream,
    splitter: Splitter,
    next: u32,
    pub extensions: Vec<Extension>,
    pub server: JoinHandle<io::Result<()>>,
}

impl Client {
    /// A connection that has not said anything yet.
    pub fn silent(session: Session) -> Self {
        let (stream, theirs) = tokio::io::duplex(PIPE);
        Self {
            stream,
            splitter: Splitter::default(),
            next: 0,
            extensions: Vec::new(),
            server: tokio::spawn(serve(session, SymlinkOrder::default(), theirs)),
        }
    }

    pub async fn connect(session: Session) -> Self {
        let mut client = Self::silent(session);
        let mut init = BytesMut::new();
        FromClient::encode_init(&mut init);
        client.stream.write_all(&init).await.unwrap();
        match client.packet().await.unwrap() {
            FromServer::Version {
                version: 3,
                extensions,
            } => client.extensions = extensions,
            other => panic!("{other:?}"),
        }
        client
    }

    /// The next packet; none at the end of the connection.
    pub async fn packet(&mut self) -> Option<FromServer> {
        loop {
            if let Some(packet) = self.splitter.next_packet().expect("none is too long") {
                return Some(FromServer::decode(packet).expect("the server sends SFTP"));
            }
            let received = self.stream.read_buf(self.splitter.buffer()).await;
            if received.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    pub fn encode(&mut self, request: &Request, out: &mut BytesMut) -> u32 {
        self.next += 1;
        request.encode(self.next, out);
        self.next
    }

    pub async fn send(&mut self, request: &Request) -> u32 {
        let mut out = BytesMut::new();
        let id = self.encode(request, &mut out);
        self.stream.write_all(&out).await.unwrap();
        id
    }

    pub async fn receive(&mut self) -> (u32, Response) {
        match self.packet().await {
            Some(FromServer::Response { id, response }) => (id, response),
            other => panic!("{other:?}"),
        }
    }

    /// One request, one answer.
    pub async fn ask(&mut self, request: Request) -> Response {
        let id = self.send(&request).await;
        let (answered, response) = self.receive().await;
        assert_eq!(answered, id);
        response
    }

    pub async fn extended(&mut self, request: Extended) -> Response {
        self.ask(request.into_request()).await
    }

    /// The status of a request that has no other answer.
    pub async fn status(&mut self, request: Request) -> StatusCode {
        let shown = format!("{request:?}");
        status(&self.ask(request).await).unwrap_or_else(|| panic!("{shown} gave no status"))
    }

    pub async fn open(&mut self, path: &str, flags: OpenFlags) -> Bytes {
        handle(self.ask(open(path, flags)).await)
    }

    pub async fn open_directory(&mut self, path: &str) -> Bytes {
        handle(self.ask(Request::OpenDir { path: bytes(path) }).await)
    }

    pub async fn read(&mut self, handle: &Bytes, offset: u64, length: u32) -> Response {
        let handle = handle.clone();
        self.ask(Request::Read {
            handle,
            offset,
            length,
        })
        .await
    }

    pub async fn write(&mut self, handle: &Bytes, offset: u64, data: &[u8]) -> StatusCode {
        self.status(Request::Write {
            handle: handle.clone(),
            offset,
            data: Bytes::copy_from_slice(data),
        })
        .await
    }

    pub async fn close(&mut self, handle: Bytes) -> StatusCode {
        self.status(Request::Close { handle }).await
    }

    /// All pages of a directory.
    pub async fn list(&mut self, path: &str) -> Vec<Entry> {
        let handle = self.open_directory(path).await;
        let mut entries = Vec::new();
        loop {
            let request = Request::ReadDir {
                handle: handle.clone(),
            };
            match self.ask(request).await {
                Response::Names(page) => entries.extend(page),
                other => {
                    assert_eq!(status(&other), Some(StatusCode::Eof));
                    break;
                }
            }
        }
        assert_eq!(self.close(handle).await, StatusCode::Ok);
        entries
    }

    /// Ends the connection, and gives what the server made of it.
    pub async fn end(self) -> io::Result<()> {
        drop(self.stream);
        self.server.await.expect("the server does not panic")
    }
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub fn open(path: &str, flags: OpenFlags) -> Request {
    Request::Open {
        path: bytes(path),
        flags,
        attributes: FileAttributes::default(),
    }
}

pub fn handle(response: Response) -> Bytes {
    match response {
        Response::Handle(handle) => handle,
        other => panic!("{other:?}"),
    }
}

pub fn data(response: Response) -> Bytes {
    match response {
        Response::Data(data) => data,
        other => panic!("{other:?}"),
    }
}

pub fn attributes(response: Response) -> FileAttributes {
    match response {
        Response::Attributes(attributes) => attributes,
        other => panic!("{other:?}"),
    }
}

pub fn name(response: Response) -> String {
    match response {
        Response::Names(names) if names.len() == 1 => {
            String::from_utf8(names[0].name.to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

pub fn status(response: &Response) -> Option<StatusCode> {
    match response {
        Response::Status { code, message } => {
            let text = std::str::from_utf8(message).expect("messages are UTF-8");
            assert!(!text.chars().any(char::is_control), "{text:?}");
            Some(*code)
        }
        _ => None,
    }
}
