//! What an attack is: what it tries, what proves that it worked, and what each level owes.

use std::sync::Arc;

use agent_backend::backend::local::command::{Isolation, Network};
use agent_backend::egress::Allowlist;

use crate::world::World;

/// The levels that the suite runs at, strongest first.
pub const LEVELS: &[Isolation] = &[
    Isolation::Bwrap,
    Isolation::Landlock,
    Isolation::Software,
    Isolation::None,
];

/// The levels that the table has a column for.
pub const COLUMNS: [&str; 4] = ["bwrap", "landlock", "software", "none"];

/// How one attack went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stopped,
    NotStopped,
    /// Not tried here: it would harm the machine, or there is no such case.
    NotTried,
}

/// What shows that an attack worked.
#[derive(Clone, Copy, Debug)]
pub enum Proof {
    /// The call succeeded, says the program that made it.
    Said,
    /// The program printed what only the other side knows.
    Secret,
    /// The host sees what happened.
    Seen(fn(&World, &str) -> bool),
}

/// How it is known that an attack can work at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// It succeeds at `none`.
    Falls,
    /// It succeeds at `none` where commands run as root; an ordinary user's kernel refuses it.
    FallsForRoot,
    /// Even `none` stops it; it succeeds in a process that is started without us.
    FallsWithoutUs,
    /// It cannot, or must not, be tried without a wall on this kernel; what is in the brackets says why.
    Untried(&'static str),
    /// Whether it succeeds without a wall depends on the kernel; what is in the brackets says on what.
    Depends(&'static str),
}

/// One attack. `id` names it in the program that makes it.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    pub id: &'static str,
    /// Point of the threat model.
    pub threat: u8,
    /// What it tries, as the table says it.
    pub tries: &'static str,
    pub proof: Proof,
    pub canary: Canary,
    /// Why `bwrap` lets it pass, where it may.
    pub open_at_bwrap: Option<&'static str>,
    /// Why `landlock` lets it pass, where it may: it is no escape by the definition of that level.
    pub open_at_landlock: Option<&'static str>,
}

impl Attack {
    pub const fn new(threat: u8, id: &'static str, tries: &'static str) -> Self {
        Self {
            id,
            threat,
            tries,
            proof: Proof::Said,
            canary: Canary::Falls,
            open_at_bwrap: None,
            open_at_landlock: None,
        }
    }

    pub const fn proof(mut self, proof: Proof) -> Self {
        self.proof = proof;
        self
    }

    pub const fn canary(mut self, canary: Canary) -> Self {
        self.canary = canary;
        self
    }

    pub const fn open_at_bwrap(mut self, why: &'static str) -> Self {
        self.open_at_bwrap = Some(why);
        self
    }

    pub const fn open_at_landlock(mut self, why: &'static str) -> Self {
        self.open_at_landlock = Some(why);
        self
    }
}

/// Attacks that are made together.
#[derive(Debug)]
pub struct Group {
    pub name: &'static str,
    pub attacks: &'static [Attack],
    pub how: How,
}

/// How the attacks of a group are made.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// One program in Python, run by a command in one tenant's scope, that tries all of them.
    Program(Program),
    /// A function of this crate; it gives the attacks that succeeded.
    Function(fn(&World) -> Vec<&'static str>),
}

#[derive(Clone, Copy, Debug)]
pub struct Program {
    pub text: &'static str,
    /// What another tenant runs before.
    pub other_tenant: Option<&'static str>,
    /// Variables of the command.
    pub variables: fn(&World) -> Vec<(String, String)>,
    pub reach: Reach,
}

impl Program {
    pub const fn new(text: &'static str) -> Self {
        Self {
            text,
            other_tenant: None,
            variables: |_| Vec::new(),
            reach: Reach::Host,
        }
    }
}

/// What a command reaches of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Host,
    Nothing,
    /// A list of hosts that holds none of this one's.
    Listed,
}

impl Reach {
    pub fn network(self) -> Network {
        match self {
            Reach::Host => Network::Host,
            Reach::Nothing => Network::None,
            Reach::Listed => {
                let hosts = ["registry.example.com"];
                Network::Allow(Arc::new(Allowlist::parse(hosts).unwrap()))
            }
        }
    }

    /// Whether a level can promise it. Where none does, the attacks are made with the host's network, as a canary.
    pub fn can_be_had(self, level: Isolation) -> bool {
        match self {
            Reach::Host => true,
            Reach::Nothing => level.is_kernel_wall(),
            Reach::Listed => level == Isolation::Bwrap,
        }
    }
}

/// A setting that a group is tried in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub level: Isolation,
    pub reach: Reach,
    /// The tenants' directories belong to root, so that commands run as uid 0 without capabilities.
    pub tree_of_root: bool,
}

impl Setting {
    /// Whether a kernel wall stands.
    pub fn is_walled(&self) -> bool {
        self.level.is_kernel_wall()
    }
}
