//! The flags of what is served on the network.

use lexopt::Parser;

use super::super::options::Secret;
use super::super::unknown;
use super::super::values::{choice, duration, once, text, value};
use super::{Given, PORT, TIME, count};
use crate::error::Result;

impl Given {
    pub(super) fn take_of_network(&mut self, name: &str, parser: &mut Parser) -> Result<()> {
        match name {
            "host" | "bind" => {
                let host = text(parser, name, "an address or a name")?;
                once(&mut self.host, host, name)
            }
            "port" => {
                let port = choice(parser, name, |text| text.parse().ok(), PORT)?;
                once(&mut self.port, port, name)
            }
            "auth-token" => {
                let token = Secret::new(text(parser, name, "a token")?);
                once(&mut self.auth_token, token, name)
            }
            "auth-token-file" => {
                let file = value(parser, name, "a file with a token")?;
                once(&mut self.auth_token_file, file.into(), name)
            }
            "tokens-file" => {
                let file = value(parser, name, "a file of tokens")?;
                once(&mut self.tokens_file, file.into(), name)
            }
            "allow-query-token" => once(&mut self.allow_query_token, (), name),
            "allowed-host" => {
                let what = "a name or an address, without scheme and port";
                self.allowed_hosts.push(choice(parser, name, host, what)?);
                Ok(())
            }
            "allowed-origin" => {
                let what = "an origin such as https://app.example, without a path";
                self.allowed_origins
                    .push(choice(parser, name, origin, what)?);
                Ok(())
            }
            "tls-cert" => {
                let file = value(parser, name, "a file of certificates")?;
                once(&mut self.tls_cert, file.into(), name)
            }
            "tls-key" => {
                let file = value(parser, name, "a file with a key")?;
                once(&mut self.tls_key, file.into(), name)
            }
            "disable-ssh-ws" => once(&mut self.disable_ssh_ws, (), name),
            "conventional-ssh" => once(&mut self.conventional, (), name),
            "max-connections" => {
                let most = choice(parser, name, count, "a number above 0")?;
                once(&mut self.max_connections, most, name)
            }
            "idle-timeout" => {
                let time = choice(parser, name, duration, TIME)?;
                once(&mut self.idle_timeout, time, name)
            }
            "grace" => {
                let time = choice(parser, name, duration, TIME)?;
                once(&mut self.grace, time, name)
            }
            _ => Err(unknown(&format!("--{name}"), name)),
        }
    }

    pub(super) fn take_ssh(&mut self, name: &str, parser: &mut Parser) -> Result<()> {
        match name {
            "ssh-port" => {
                let port = choice(parser, name, |text| text.parse().ok(), PORT)?;
                once(&mut self.ssh_port, port, name)
            }
            "ssh-host-key" => {
                let file = value(parser, name, "a file with a private key")?;
                once(&mut self.host_key, file.into(), name)
            }
            "ssh-users" => {
                let users = text(parser, name, "name:password pairs separated by commas")?;
                once(&mut self.users, Secret::new(users), name)
            }
            "ssh-public-key" => {
                let key = text(parser, name, "a line of authorized_keys")?;
                once(&mut self.public_key, key, name)
            }
            "ssh-users-file" => {
                let file = value(parser, name, "a file of users")?;
                once(&mut self.users_file, file.into(), name)
            }
            "ssh-authorized-keys" => {
                let file = value(parser, name, "a file of authorized keys")?;
                once(&mut self.authorized_keys, file.into(), name)
            }
            _ => Err(unknown(&format!("--{name}"), name)),
        }
    }
}

/// What stands in `Host`, but for the port; `*` is any.
fn host(text: &str) -> Option<String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let is_address = bare.parse::<std::net::IpAddr>().is_ok();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (is_address || text == "*" || text.bytes().all(is_name)).then(|| text.to_owned())
}

/// What browsers send as `Origin`: with anything else nothing would ever match.
fn origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_authority = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\,*".contains(&byte);
    let fits = !scheme.is_empty()
        && scheme.bytes().all(is_scheme)
        && !rest.is_empty()
        && rest.bytes().all(is_authority);
    fits.then(|| text.to_owned())
}
