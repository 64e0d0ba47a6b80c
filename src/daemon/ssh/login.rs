//! Who a client says it is, and how often it may be wrong about that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::server::{Auth, PublicKeyOffer, VerifiedPublicKey};
use russh::{MethodKind, MethodSet};
use tokio::time::Instant;

use super::options::MAX_TRIES;
use super::users::is_accepted;
use super::{Entry, ServerOptions};
use crate::daemon::session::Session;
use crate::daemon::slowing::Slowing;
use crate::error::Printable;

/// Characters of a name that a log shows.
const SHOWN_CHARS: usize = 64;

/// The attempts of one connection, and what came of them.
pub(super) struct Login {
    entry: Entry,
    peer: Option<SocketAddr>,
    refusal_delay: Duration,
    slowing: Arc<Slowing>,
    /// As a log may show it.
    user: String,
    /// Whom it wanted to be last, likewise.
    asked: String,
    tries: usize,
    session: Option<Session>,
}

impl Login {
    pub(super) fn new(entry: Entry, peer: Option<SocketAddr>, options: &ServerOptions) -> Self {
        Self {
            entry,
            peer,
            refusal_delay: options.refusal_delay,
            slowing: Arc::clone(&options.slowing),
            user: String::new(),
            asked: String::new(),
            tries: 0,
            session: None,
        }
    }

    /// The session, once somebody is logged in.
    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    pub(super) fn log_accepted(&self) {
        let scope = (self.session.as_ref()).map(|session| {
            session
                .workspace
                .scope_path()
                .to_string_lossy()
                .into_owned()
        });
        tracing::info!(
            user = %self.user, peer = self.peer.map(tracing::field::display),
            scope = %Printable(&one_line(&scope.unwrap_or_default())), "SSH client accepted"
        );
    }

    /// Says that somebody named a user and came to be none: a key that is not known is no attempt, and else nothing
    /// would tell of it.
    pub(super) fn log_unknown(&self) {
        if self.session.is_none() && self.tries == 0 && !self.asked.is_empty() {
            tracing::warn!(
                user = %self.asked, peer = self.peer.map(tracing::field::display),
                "SSH client left without logging in: no key or password that is known"
            );
        }
    }

    pub(super) fn log_stuck(&self) {
        tracing::warn!(
            user = %self.user, peer = self.peer.map(tracing::field::display),
            "ended an SSH channel that reads nothing and holds up the others"
        );
    }

    /// Asks for nothing, which most clients do to learn what they may try.
    pub(super) fn by_nothing(&mut self, user: &str) -> Auth {
        self.asked = shown(user);
        match &self.entry {
            Entry::Authenticated(session) => {
                let session = session.clone();
                self.accept(user, session)
            }
            Entry::Users(_) => self.not_so(),
        }
    }

    pub(super) async fn by_password(
        &mut self,
        user: &str,
        password: &str,
    ) -> Result<Auth, russh::Error> {
        let since = Instant::now();
        self.check_tries()?;
        let found = match &self.entry {
            Entry::Authenticated(session) => Some(session.clone()),
            Entry::Users(users) => users.by_password(user, password),
        };
        Ok(match found {
            Some(session) => self.accept(user, session),
            None => self.refuse(user, "password", since).await,
        })
    }

    /// A key that has not signed yet. That it is not known is no attempt: clients offer one after the other.
    pub(super) fn offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        self.asked = shown(user);
        self.check_tries()?;
        let is_known = match &self.entry {
            Entry::Authenticated(_) => true,
            Entry::Users(users) => users.knows_key(user, offer.public_key),
        };
        Ok(match is_known && is_accepted(offer.algorithm) {
            true => Auth::Accept,
            false => self.not_so(),
        })
    }

    /// A key that has signed.
    pub(super) async fn by_key(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        let since = Instant::now();
        self.check_tries()?;
        let found = match &self.entry {
            Entry::Authenticated(session) => Some(session.clone()),
            Entry::Users(users) if is_accepted(key.algorithm) => users.by_key(user, key.public_key),
            Entry::Users(_) => None,
        };
        Ok(match found {
            Some(session) => self.accept(user, session),
            None => self.refuse(user, "key", since).await,
        })
    }

    fn accept(&mut self, user: &str, session: Session) -> Auth {
        if let (Entry::Users(_), Some(peer)) = (&self.entry, self.peer) {
            self.slowing.right(peer.ip());
        }
        self.user = shown(user);
        self.session = Some(session);
        Auth::Accept
    }

    /// Says what may be tried.
    fn not_so(&self) -> Auth {
        let mut methods = MethodSet::empty();
        if let Entry::Users(users) = &self.entry {
            if users.has_keys() {
                methods.push(MethodKind::PublicKey);
            }
            if users.has_passwords() {
                methods.push(MethodKind::Password);
            }
        }
        rejected(methods)
    }

    /// A wrong attempt: answered late, and the last one with nothing left to try.
    async fn refuse(&mut self, user: &str, by: &str, since: Instant) -> Auth {
        self.tries += 1;
        tracing::warn!(
            user = %shown(user), peer = self.peer.map(tracing::field::display), by,
            attempt = self.tries, "SSH authentication refused"
        );
        let slowed = self
            .peer
            .map(|peer| self.slowing.wrong(peer.ip(), since.into_std()));
        let wait = slowed.unwrap_or_default().max(self.refusal_delay);
        tokio::time::sleep_until(since + wait).await;
        match self.tries < MAX_TRIES {
            true => self.not_so(),
            false => rejected(MethodSet::empty()),
        }
    }

    /// Ends the connection of whoever goes on all the same.
    fn check_tries(&self) -> Result<(), russh::Error> {
        match self.tries < MAX_TRIES {
            true => Ok(()),
            false => Err(russh::Error::Disconnect),
        }
    }
}

fn rejected(methods: MethodSet) -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(methods),
        partial_success: false,
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', "\\u{a}")
}

/// A name in a log: on one line, of a long one its head, and without control characters.
fn shown(user: &str) -> String {
    let head: String = user.chars().take(SHOWN_CHARS).collect();
    Printable(&one_line(&head)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_forges_a_line_of_the_log() {
        assert_eq!(shown("a\nb\u{1b}[31m"), "a\\u{a}b\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(1_000)).len(), SHOWN_CHARS);
    }
}
