//! Which requests may be worked on beside which. The protocol has it that requests about one file are answered as if each
//! had waited for the one before, whether they name it by a path or by a handle, and clients count on that: sshfs asks
//! what is under a path right behind the request that creates it there.
//!
//! Whether two paths lead to one file nobody knows before links are followed, so what changes something by a path is
//! worked on while nothing else of files is, and what only looks goes side by side. What concerns one handle has its
//! order by itself, see [`super::handles`]; two handles of one file are not told to be that.

use crate::wire::sftp::{Request, name};

/// What a request does to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing of this concerns it. Our own operations have their order from whoever sends them.
    None,
    /// It looks at what is under a path, or opens it as it is.
    LooksByPath,
    /// It changes what is under a path, or creates it.
    ChangesByPath,
    /// It looks at what is open.
    LooksByHandle,
    /// It changes what is open.
    ChangesByHandle,
}

impl Effect {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Open { flags, .. } if flags.create || flags.truncate => Self::ChangesByPath,
            Request::Open { .. }
            | Request::Lstat { .. }
            | Request::Stat { .. }
            | Request::OpenDir { .. }
            | Request::RealPath { .. }
            | Request::ReadLink { .. } => Self::LooksByPath,
            Request::SetStat { .. }
            | Request::Remove { .. }
            | Request::MakeDir { .. }
            | Request::RemoveDir { .. }
            | Request::Rename { .. }
            | Request::Symlink { .. } => Self::ChangesByPath,
            Request::Read { .. }
            | Request::Fstat { .. }
            | Request::ReadDir { .. }
            | Request::Close { .. } => Self::LooksByHandle,
            Request::Write { .. } | Request::FsetStat { .. } => Self::ChangesByHandle,
            Request::Extended { name, .. } => Self::of_extension(name),
        }
    }

    fn of_extension(name: &[u8]) -> Self {
        match name {
            name::POSIX_RENAME | name::LSETSTAT => Self::ChangesByPath,
            name::STATVFS | name::EXPAND_PATH => Self::LooksByPath,
            name::FSTATVFS | name::FSYNC => Self::LooksByHandle,
            _ => Self::None,
        }
    }
}

/// How many requests of each effect are worked on.
#[derive(Debug, Default)]
pub(super) struct Order([usize; 5]);

impl Order {
    /// Whether a request may be worked on now, with all that came before it either answered or in here.
    pub(super) fn admits(&self, effect: Effect) -> bool {
        let none = |of: &[Effect]| of.iter().all(|effect| self.0[*effect as usize] == 0);
        match effect {
            Effect::None => true,
            Effect::LooksByPath => none(&[Effect::ChangesByPath, Effect::ChangesByHandle]),
            Effect::ChangesByPath => none(&[
                Effect::LooksByPath,
                Effect::ChangesByPath,
                Effect::LooksByHandle,
                Effect::ChangesByHandle,
            ]),
            Effect::LooksByHandle | Effect::ChangesByHandle => none(&[Effect::ChangesByPath]),
        }
    }

    pub(super) fn begin(&mut self, effect: Effect) {
        self.0[effect as usize] += 1;
    }

    pub(super) fn end(&mut self, effect: Effect) {
        self.0[effect as usize] -= 1;
    }
}
