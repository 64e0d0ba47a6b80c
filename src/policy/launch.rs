//! What a command really starts: wrappers taken off, nested scripts followed, builtins that change the shell applied.

use super::fanout::{find_actions, is_unbounded, xargs};
use super::field::{Field, Unit};
use super::forks::Call;
use super::paths;
use super::programs::{self, Program, ShellSource, interpreter_reads_stdin, shell_source, unwrap};
use super::redirects::is_endless_device;
use super::rules::Invocation;
use super::shell::{Origin, Shell, Stop, Stream, known};
use super::syntax::is_name;
use super::text::ansi_text;

/// Most wrappers around one command.
const MAX_WRAPPERS: usize = 16;
/// Most words of a command that a refusal shows.
const MAX_SHOWN: usize = 32;
/// Most functions called from one another; a function that calls itself is followed once.
const MAX_CALLS: usize = 8;

impl Shell<'_> {
    /// Judges a command whose words are expanded; returns what it prints.
    pub(super) fn launch(&mut self, words: Vec<Field>, stdin: Stream) -> Result<Stream, Stop> {
        self.enter()?;
        let output = self.launch_words(words, stdin)?;
        self.leave();
        Ok(output)
    }

    fn launch_words(&mut self, mut words: Vec<Field>, mut stdin: Stream) -> Result<Stream, Stop> {
        let shown: Vec<Field> = words.iter().take(MAX_SHOWN).cloned().collect();
        // A wrapper looks for a program, not for a function.
        let mut direct = true;
        for _ in 0..MAX_WRAPPERS {
            // Each wrapper copies the words behind it.
            self.spend(20 * words.len())?;
            let Some(first) = words.first() else {
                return Ok(Stream::default());
            };
            if first.is_downloaded() {
                self.check(&Invocation::new("", &shown).running_download())?;
                return Ok(Stream::default());
            }
            let program = Program::named(first);
            let args = &words[1..];
            let own = paths::is_own(first, self.cwd.as_deref(), self.context.root_dir);
            self.check(&Invocation::of(&program, &shown, args).owned(own))?;
            if matches!(program.name(), "xargs" | "parallel")
                && stdin.origin.endless
                && is_unbounded(args)
            {
                self.check(&Invocation::new("", &shown).forking())?;
            }
            if program.name() == "xargs" {
                words = xargs(args, &stdin);
                stdin = Stream::default();
                direct = false;
                continue;
            }
            match unwrap(&program, args) {
                Some(programs::Unwrapped::Words(inner)) => {
                    direct &= matches!(program.name(), "time" | "coproc" | "noglob");
                    words = inner;
                }
                Some(programs::Unwrapped::Code(code)) => return self.code(&code, &shown, &stdin),
                None => {
                    if direct && let Some(output) = self.function(&program, args, &stdin)? {
                        return Ok(output);
                    }
                    return self.program(&program, args, &shown, stdin);
                }
            }
        }
        Ok(Stream::default())
    }

    /// A call of a function that the text defines; `None` where there is none.
    fn function(
        &mut self,
        program: &Program,
        args: &[Field],
        stdin: &Stream,
    ) -> Result<Option<Stream>, Stop> {
        let name = program.written();
        let Some(body) = self.functions.get(name).cloned() else {
            if self.calling.iter().any(|call| call.name == name) {
                self.called_again(name)?;
            }
            return Ok(None);
        };
        if self.calling.iter().any(|call| call.name == name) {
            self.called_again(name)?;
            return Ok(None);
        }
        if self.calling.len() >= MAX_CALLS {
            return Ok(None);
        }
        self.calling.push(Call::new(name, self));
        let output = self.subshell(|shell| {
            shell.positional(args);
            shell.steps(&body, stdin)
        });
        self.calling.pop();
        output.map(Some)
    }

    /// A program without wrappers.
    fn program(
        &mut self,
        program: &Program,
        args: &[Field],
        shown: &[Field],
        stdin: Stream,
    ) -> Result<Stream, Stop> {
        if program.is_shell() {
            return self.shell(args, shown, &stdin);
        }
        if program.is_interpreter() && interpreter_reads_stdin(args) {
            let downloaded = stdin.origin.downloaded || args.iter().any(Field::is_downloaded);
            if downloaded {
                self.check(&Invocation::new(program.name(), shown).running_download())?;
            }
        }
        if stdin.origin.shell && program.is_network_client(args) {
            self.check(&Invocation::new(program.name(), shown).connecting_shell())?;
        }
        match program.name() {
            "find" => return self.find(args, &stdin),
            "." | "source" => return self.source(args, shown, &stdin),
            "cd" | "pushd" => self.change_directory(args),
            "export" | "declare" | "local" | "readonly" | "typeset" => self.declare(args),
            "set" => self.set(args),
            "read" => self.read(args, &stdin),
            _ => {}
        }
        Ok(self.output(program, args, stdin))
    }

    /// What a program prints, where that is plain.
    fn output(&self, program: &Program, args: &[Field], stdin: Stream) -> Stream {
        if program.is_downloader() || program.is_network_client(args) {
            return Stream::from(Origin {
                downloaded: true,
                network: program.is_network_client(args),
                ..Origin::default()
            });
        }
        match program.name() {
            "echo" => {
                let options = args
                    .iter()
                    .take_while(|a| {
                        matches!(a.shape().as_str(), "-n" | "-e" | "-E" | "-ne" | "-en")
                    })
                    .count();
                let escapes = args[..options].iter().any(|a| a.shape().contains('e'));
                known(unescape(join(&args[options..]), escapes))
            }
            "printf" => printf(args),
            "cat" | "tee" if args.iter().all(|a| a.shape().starts_with('-')) => stdin,
            "tee" => stdin,
            "pwd" => match &self.cwd {
                Some(cwd) => known(Field::literal(&String::from_utf8_lossy(cwd))),
                None => Stream::default(),
            },
            "which" | "command" | "type" => args.last().cloned().map(known).unwrap_or_default(),
            // These end the endless.
            "head" | "timeout" => Stream::from(Origin {
                endless: false,
                ..stdin.origin
            }),
            name => {
                let mut origin = stdin.origin;
                origin.downloaded |= args.iter().any(Field::is_downloaded);
                origin.endless |=
                    name == "yes" || args.iter().any(|a| is_endless_device(&a.shape()));
                Stream::from(origin)
            }
        }
    }

    /// Code that a command executes.
    fn code(&mut self, code: &Field, shown: &[Field], stdin: &Stream) -> Result<Stream, Stop> {
        if code.is_downloaded() {
            self.check(&Invocation::new("", shown).running_download())?;
        }
        self.script(&code.to_code(), stdin)
    }

    fn shell(&mut self, args: &[Field], shown: &[Field], stdin: &Stream) -> Result<Stream, Stop> {
        match shell_source(args) {
            ShellSource::Code(code, arguments) => self.subshell(|shell| {
                if let Some((zero, rest)) = arguments.split_first() {
                    shell.assign("0", vec![zero.clone()]);
                    shell.positional(rest);
                }
                shell.code(code, shown, stdin)
            }),
            ShellSource::Script(script) if script.is_downloaded() => {
                self.check(&Invocation::new("", shown).running_download())?;
                Ok(Stream::default())
            }
            ShellSource::Script(_) => Ok(Stream::from(Origin {
                downloaded: stdin.origin.downloaded,
                ..Origin::default()
            })),
            ShellSource::Stdin if stdin.origin.network || self.socket => {
                self.check(&Invocation::new("", shown).connecting_shell())?;
                Ok(Stream::default())
            }
            ShellSource::Stdin => {
                let mut output = self.stdin_code(shown, stdin)?;
                output.origin.shell |= stdin.text.is_none();
                Ok(output)
            }
        }
    }

    fn stdin_code(&mut self, shown: &[Field], stdin: &Stream) -> Result<Stream, Stop> {
        if stdin.origin.downloaded {
            self.check(&Invocation::new("", shown).running_download())?;
        }
        match &stdin.text {
            Some(text) => {
                let text = text.clone();
                self.subshell(|shell| shell.code(&text, shown, &Stream::default()))
            }
            None => Ok(Stream::default()),
        }
    }

    fn source(&mut self, args: &[Field], shown: &[Field], stdin: &Stream) -> Result<Stream, Stop> {
        match args.first() {
            Some(file) if file.is_downloaded() => {
                self.check(&Invocation::new("", shown).running_download())?;
            }
            Some(file) if programs::is_stdin_path(&file.shape()) => {
                return self.stdin_code(shown, stdin);
            }
            _ => {}
        }
        Ok(Stream::default())
    }

    fn find(&mut self, args: &[Field], stdin: &Stream) -> Result<Stream, Stop> {
        let (places, actions) = find_actions(args);
        for action in actions {
            self.launch(action, stdin.clone())?;
        }
        Ok(Stream {
            words: places,
            ..Stream::default()
        })
    }

    fn positional(&mut self, args: &[Field]) {
        for (number, argument) in args.iter().take(9).enumerate() {
            self.assign(&(number + 1).to_string(), vec![argument.clone()]);
        }
        if !args.is_empty() {
            self.assign("@", args.to_vec());
            self.assign("*", args.to_vec());
        }
    }

    fn set(&mut self, args: &[Field]) {
        if let Some(at) = args.iter().position(|a| a.shape() == "--") {
            self.positional(&args[at + 1..]);
        }
    }

    fn declare(&mut self, args: &[Field]) {
        for argument in args {
            let split = argument.0.iter().position(|&u| u == Unit::Literal('='));
            let Some(at) = split else { continue };
            if let Some(name) = Field(argument.0[..at].to_vec())
                .text()
                .filter(|n| is_name(n))
            {
                self.assign(&name, vec![Field(argument.0[at + 1..].to_vec())]);
            }
        }
    }

    fn read(&mut self, args: &[Field], stdin: &Stream) {
        let value = stdin
            .text
            .clone()
            .unwrap_or(Field(vec![if stdin.origin.downloaded {
                Unit::Downloaded
            } else {
                Unit::Unknown
            }]));
        for name in args.iter().filter_map(Field::text).filter(|n| is_name(n)) {
            self.assign(&name, vec![value.clone()]);
        }
    }

    fn change_directory(&mut self, args: &[Field]) {
        let target = args
            .iter()
            .find(|a| !a.shape().starts_with('-') || a.shape() == "-");
        self.cwd = match target {
            None => Some(self.context.root_dir.to_vec()),
            Some(target) if target.shape() == "-" => None,
            Some(target) => paths::directory(target, self.cwd.as_deref(), self.context.root_dir),
        };
    }
}

fn join(args: &[Field]) -> Field {
    let mut units = Vec::new();
    for (number, argument) in args.iter().enumerate() {
        if number > 0 {
            units.push(Unit::Literal(' '));
        }
        units.extend_from_slice(&argument.0);
    }
    Field(units)
}

fn unescape(text: Field, escapes: bool) -> Field {
    match text.text() {
        Some(plain) if escapes => Field::literal(&ansi_text(&plain)),
        _ => text,
    }
}

/// `printf` with its format applied as far as it matters: escapes, and each directive replaced by an argument.
fn printf(args: &[Field]) -> Stream {
    let Some((format, rest)) = args.split_first() else {
        return Stream::default();
    };
    let format = unescape(format.clone(), true);
    let mut values = rest.iter();
    let mut units = Vec::new();
    let mut directive = false;
    for unit in format.0 {
        match unit {
            Unit::Literal('%') if !directive => directive = true,
            Unit::Literal('%') => {
                directive = false;
                units.push(unit);
            }
            Unit::Literal(c) if directive => {
                if c.is_ascii_alphabetic() {
                    directive = false;
                    if let Some(value) = values.next() {
                        units.extend(unescape(value.clone(), c == 'b').0);
                    }
                }
            }
            unit => units.push(unit),
        }
    }
    for value in values {
        units.push(Unit::Literal('\n'));
        units.extend_from_slice(&value.0);
    }
    known(Field(units))
}
