//! What a launcher is told. It travels as words, each ended by NUL, in a memory file: on a command line anybody on the
//! host could read it. The same type is written by the host and read by the launcher.

use std::ffi::{CStr, CString};

use rustix::process::Resource;

/// The first word: host and launcher are built together, and one of another version must not guess.
const GREETING: &str = concat!("agent-backend ", env!("CARGO_PKG_VERSION"), " order 1");

/// What to do, in this order, before the program is executed. Descriptors are numbers in the launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Control groups to join: open files that a process enters by writing `0`. First, so that all else is counted.
    pub join: Vec<i32>,
    /// Resource limits: soft and hard alike; `None` is no limit. Set late: what comes before needs more files than some
    /// programs may have.
    pub limits: Vec<(Resource, Option<u64>)>,
    /// Listen on this port of the loopback and hand the socket over through a Unix socket.
    pub listen: Option<(u16, i32)>,
    /// Work in this directory.
    pub directory: Option<i32>,
    /// Stay behind as the parent of the command, and end all that it left when it ends or when this process, the host,
    /// does.
    pub supervise: Option<u32>,
    /// Lead a session whose terminal is standard input.
    pub terminal: bool,
    /// Where failing is told, by any byte; closed by the start of the program.
    pub status: Option<i32>,
    /// Become this user and group, without any other groups.
    pub user: Option<(u32, u32)>,
    /// Give up every capability, for good.
    pub powerless: bool,
    /// Restrict to the rules of Landlock that this descriptor holds.
    pub ruleset: Option<i32>,
    /// A seccomp filter, in an open file.
    pub seccomp: Option<i32>,
    /// Start commands for the host that holds the other end of this socket, instead of a program: whatever was given up
    /// before stays given up for all of them.
    pub serve: Option<i32>,
    /// Descriptors beyond the three standard ones that the program gets. All others are closed.
    pub keep: Vec<i32>,
    /// The whole environment, `NAME=value`.
    pub environment: Vec<CString>,
    /// The absolute path of the program.
    pub program: CString,
    /// Its arguments, its own name first.
    pub arguments: Vec<CString>,
}

/// Resources by the names of their options.
const RESOURCES: &[(&str, Resource)] = &[
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
];

impl Order {
    /// As it travels.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words = Words::default();
        words.word(GREETING);
        for descriptor in &self.join {
            words.word("--join").word(descriptor);
        }
        for (resource, limit) in &self.limits {
            let known = RESOURCES.iter().find(|(_, known)| known == resource);
            words
                .word("--limit")
                .word(known.map_or("", |known| known.0));
            words.word(limit.map_or("-".to_owned(), |limit| limit.to_string()));
        }
        if let Some((port, socket)) = self.listen {
            words.word("--listen").word(port).word(socket);
        }
        if let Some(directory) = self.directory {
            words.word("--directory").word(directory);
        }
        if let Some(host) = self.supervise {
            words.word("--supervise").word(host);
        }
        if self.terminal {
            words.word("--terminal");
        }
        if let Some(status) = self.status {
            words.word("--status").word(status);
        }
        if let Some((uid, gid)) = self.user {
            words.word("--user").word(uid).word(gid);
        }
        if self.powerless {
            words.word("--powerless");
        }
        if let Some(ruleset) = self.ruleset {
            words.word("--landlock").word(ruleset);
        }
        if let Some(filter) = self.seccomp {
            words.word("--seccomp").word(filter);
        }
        if let Some(socket) = self.serve {
            words.word("--serve").word(socket);
        }
        for descriptor in &self.keep {
            words.word("--keep").word(descriptor);
        }
        for variable in &self.environment {
            words.word("--env").bytes(variable.as_bytes());
        }
        words.word("--").bytes(self.program.as_bytes());
        for argument in &self.arguments {
            words.bytes(argument.as_bytes());
        }
        words.0
    }

    /// Reads what travelled.
    ///
    /// # Errors
    /// A sentence for people: the launcher is of another version, or the order is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut words = Reader(bytes);
        if words.next()?.to_bytes() != GREETING.as_bytes() {
            return Err(
                "this launcher is of another version than its host; reinstall agent-backend"
                    .to_owned(),
            );
        }
        let mut order = Self::default();
        loop {
            match words.text()? {
                "--join" => order.join.push(words.number()?),
                "--limit" => order.limits.push(words.limit()?),
                "--listen" => order.listen = Some((words.number()?, words.number()?)),
                "--directory" => order.directory = Some(words.number()?),
                "--serve" => order.serve = Some(words.number()?),
                "--supervise" => order.supervise = Some(words.number()?),
                "--terminal" => order.terminal = true,
                "--status" => order.status = Some(words.number()?),
                "--user" => order.user = Some((words.number()?, words.number()?)),
                "--powerless" => order.powerless = true,
                "--landlock" => order.ruleset = Some(words.number()?),
                "--seccomp" => order.seccomp = Some(words.number()?),
                "--keep" => order.keep.push(words.number()?),
                "--env" => order.environment.push(words.next()?.to_owned()),
                "--" => break,
                other => return Err(damaged(other)),
            }
        }
        order.program = words.next()?.to_owned();
        while !words.0.is_empty() {
            order.arguments.push(words.next()?.to_owned());
        }
        Ok(order)
    }
}

fn damaged(what: &str) -> String {
    format!("the order to the launcher is damaged at {what:?}")
}

#[derive(Default)]
struct Words(Vec<u8>);

impl Words {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self.0.push(0);
        self
    }

    fn word(&mut self, word: impl ToString) -> &mut Self {
        self.bytes(word.to_string().as_bytes())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<&'a CStr, String> {
        let word = CStr::from_bytes_until_nul(self.0).map_err(|_| damaged("its end"))?;
        self.0 = &self.0[word.count_bytes() + 1..];
        Ok(word)
    }

    fn text(&mut self) -> Result<&'a str, String> {
        self.next()?.to_str().map_err(|_| damaged("a word"))
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        let text = self.text()?;
        text.parse().map_err(|_| damaged(text))
    }

    fn limit(&mut self) -> Result<(Resource, Option<u64>), String> {
        let name = self.text()?;
        let known = RESOURCES.iter().find(|(known, _)| *known == name);
        let resource = known.ok_or_else(|| damaged(name))?.1;
        Ok(match self.text()? {
            "-" => (resource, None),
            text => (resource, Some(text.parse().map_err(|_| damaged(text))?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            join: vec![7, 8],
            limits: vec![(Resource::Core, Some(1)), (Resource::Nofile, None)],
            listen: Some((3128, 9)),
            directory: Some(10),
            supervise: Some(4242),
            terminal: true,
            status: Some(5),
            user: Some((60600, 60601)),
            powerless: true,
            ruleset: Some(11),
            seccomp: Some(6),
            serve: Some(13),
            keep: vec![12],
            environment: vec![c"A=1 2".to_owned(), c"--=\xff".to_owned()],
            program: c"/bin/bash".to_owned(),
            arguments: vec![
                c"bash".to_owned(),
                c"-c".to_owned(),
                c"--".to_owned(),
                c"".to_owned(),
            ],
        }
    }

    #[test]
    fn the_whole_order_is_these_words() {
        let bytes = order().to_bytes();
        let text = String::from_utf8_lossy(&bytes).replace('\0', "|");
        assert_eq!(
            text.strip_prefix(GREETING).unwrap(),
            "|--join|7|--join|8|--limit|core|1|--limit|nofile|-|--listen|3128|9|--directory|10|--supervise|4242|--terminal|--status|5|\
             --user|60600|60601|--powerless|--landlock|11|--seccomp|6|--serve|13|--keep|12|--env|A=1 2|--env|--=\u{fffd}|--|/bin/bash|\
             bash|-c|--||"
        );
    }

    #[test]
    fn what_was_written_is_read() {
        for order in [order(), Order::default()] {
            assert_eq!(Order::from_bytes(&order.to_bytes()), Ok(order));
        }
    }

    #[test]
    fn a_damaged_or_foreign_order_is_refused_in_a_sentence() {
        let bytes = order().to_bytes();
        for end in 0..bytes.len() {
            // Cut within the arguments it is an order with fewer of them, where a word ends there.
            if let Err(problem) = Order::from_bytes(&bytes[..end]) {
                assert!(
                    problem.contains("order") || problem.contains("version"),
                    "{problem}"
                );
            }
        }
        assert!(
            Order::from_bytes(b"agent-backend 0.0.1 order 1\0--\0/x\0")
                .unwrap_err()
                .contains("version")
        );
        let foreign = [GREETING.as_bytes(), b"\0--what\0"].concat();
        assert!(Order::from_bytes(&foreign).unwrap_err().contains("--what"));
    }
}
