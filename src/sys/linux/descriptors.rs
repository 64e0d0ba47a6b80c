//! How many descriptors this process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where nothing bounds them, and more than anybody needs.
const PLENTY: u64 = 1 << 20;

/// How many this process may have at a time.
#[must_use]
pub fn limit() -> usize {
    let now = getrlimit(Resource::Nofile).current.unwrap_or(PLENTY);
    usize::try_from(now.min(PLENTY)).unwrap_or(usize::MAX)
}

/// Takes as many as are allowed: the usual number of a login, 1,024, is for programs that wait by `select`, and less than
/// a server with that many connections needs.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(PLENTY).min(PLENTY);
    if current.is_some_and(|current| current < most) {
        // Where that is refused, it stays as it is.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(most),
                maximum,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_allowed_can_be_had() {
        let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(PLENTY);
        raise_limit();
        assert_eq!(limit() as u64, allowed.min(PLENTY));
    }
}
