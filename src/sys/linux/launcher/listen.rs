//! A socket that belongs to the namespace of a command, in the hands of the host: whoever accepts from it answers the
//! command, wherever it is itself.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd as _;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use super::confine::borrowed;
use super::{Outcome, said};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 256;

/// Listens on a port of the loopback and sends the socket through `channel`, a connected Unix socket.
pub(super) fn hand_over(port: u16, channel: i32) -> Outcome<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
        .map_err(said("making the proxy's socket"))?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
        .map_err(said("binding the proxy's socket"))?;
    rustix::net::listen(&socket, BACKLOG).map_err(said("listening for the proxy"))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let passed = [socket.as_fd()];
    if !message.push(SendAncillaryMessage::ScmRights(&passed)) {
        return Err("handing the proxy's socket over failed: no room".to_owned());
    }
    let byte = [IoSlice::new(b"!")];
    rustix::net::sendmsg(borrowed(channel), &byte, &mut message, SendFlags::NOSIGNAL)
        .map_err(said("handing the proxy's socket over"))?;
    Ok(())
}
