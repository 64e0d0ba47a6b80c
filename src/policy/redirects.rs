//! Redirections: their targets go before the rules, and what a command reads is followed.

use super::field::{Field, Unit};
use super::rules::Invocation;
use super::shell::{Origin, Shell, Stop, Stream, known};
use super::syntax::{Redirect, RedirectKind};

impl Shell<'_> {
    /// Judges the targets of redirections; returns what the command reads.
    pub(super) fn redirects(
        &mut self,
        redirects: &[Redirect],
        mut stdin: Stream,
    ) -> Result<Stream, Stop> {
        for redirect in redirects {
            match redirect.kind {
                RedirectKind::Write => {
                    let targets = self.expand(&redirect.text)?;
                    for target in &targets {
                        self.connect(target, redirect.descriptor);
                    }
                    let mut shown = vec![Field::literal(">")];
                    shown.extend_from_slice(&targets);
                    self.check(&Invocation::new("", &shown).writing(targets))?;
                }
                RedirectKind::Read => {
                    let mut origin = Origin::default();
                    for target in self.expand(&redirect.text)? {
                        let network = self.connect(&target, redirect.descriptor);
                        origin.absorb(Origin {
                            downloaded: network || target.is_downloaded(),
                            network,
                            shell: false,
                            endless: is_endless_device(&target.shape()),
                        });
                    }
                    stdin = Stream::from(origin);
                }
                RedirectKind::Duplicate => {
                    let standard = matches!(redirect.text.as_str(), "" | "-" | "0" | "1" | "2");
                    if self.socket_open && !standard {
                        self.socket = true;
                        stdin.origin.network = true;
                        stdin.origin.downloaded = true;
                    }
                }
                RedirectKind::HereString => {
                    let text = self.expand_one(&redirect.text)?;
                    stdin = known(text);
                }
                RedirectKind::HereDocument { expand: true } => {
                    stdin = known(self.expand_document(&redirect.text)?);
                }
                RedirectKind::HereDocument { expand: false } => {
                    stdin = known(Field::literal(&redirect.text));
                }
            }
        }
        Ok(stdin)
    }

    /// Whether a redirection makes a connection the standard input or output.
    fn connect(&mut self, target: &Field, descriptor: Option<u32>) -> bool {
        let shape = target.shape();
        let unknown = matches!(target.0.first(), Some(Unit::Unknown | Unit::Unset));
        let network = is_network_path(&shape);
        if network && descriptor.is_some_and(|number| number > 2) {
            self.socket_open = true;
            return false;
        }
        // `<&$descriptor`
        let network = network || (unknown && self.socket_open && target.0.len() == 1);
        if network {
            self.socket = true;
            self.socket_open = true;
        }
        network
    }
}

/// The paths under which bash connects to another host.
fn is_network_path(path: &str) -> bool {
    path.starts_with("/dev/tcp/") || path.starts_with("/dev/udp/")
}

/// Devices that never come to an end.
pub(super) fn is_endless_device(path: &str) -> bool {
    matches!(path, "/dev/zero" | "/dev/urandom" | "/dev/random")
}
