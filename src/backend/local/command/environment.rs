//! The environment of a command: what every program needs, then what the caller names, and of the host's own
//! variables only those that are asked for, since they hold its secrets.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::backend::process::check_variable;
use crate::error::{Error, ErrorCode, Result};

/// Where programs are found when the host does not say.
pub(super) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables of the host that change how programs read text, and nothing else.
const LOCALE: &[&str] = &["LANG", "LANGUAGE", "TERM", "COLORTERM", "TZ"];

/// Variables, by name. Sorted, so that the same call makes the same environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(BTreeMap<Vec<u8>, Vec<u8>>);

impl Environment {
    /// Locale and terminal of the host; with `inherit`, all its variables but those that make a program run code.
    pub(super) fn from_host(
        host: impl Iterator<Item = (OsString, OsString)>,
        inherit: bool,
    ) -> Self {
        let mut variables = BTreeMap::new();
        for (name, value) in host {
            let name = name.into_vec();
            let wanted = if inherit {
                !runs_code(&name)
            } else {
                name.starts_with(b"LC_") || LOCALE.iter().any(|known| known.as_bytes() == name)
            };
            if wanted && !name.is_empty() {
                variables.insert(name, value.into_vec());
            }
        }
        if !inherit {
            name_character_set_alone(&mut variables);
        }
        Self(variables)
    }

    pub(super) fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0
            .insert(name.as_bytes().to_vec(), value.as_ref().as_bytes().to_vec());
    }

    /// Applies what the caller names, in order; `None` removes.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` for a name that is empty or contains `=`, and for NUL.
    pub(super) fn apply(&mut self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<()> {
        for (name, value) in changes {
            check_variable(name, value.as_deref())?;
            match value {
                Some(value) => {
                    self.0.insert(name.clone(), value.clone());
                }
                None => {
                    self.0.remove(name);
                }
            }
        }
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// As `execve` takes it.
    pub(super) fn to_strings(&self) -> Result<Vec<CString>> {
        self.iter()
            .map(|(name, value)| {
                CString::new([name, b"=", value].concat()).map_err(|_| {
                    Error::new(
                        ErrorCode::InvalidConfiguration,
                        "a variable of the environment contains a NUL character",
                    )
                })
            })
            .collect()
    }
}

/// `C.UTF-8` differs from `C` in its character set alone: named as that, it spares every program that starts the
/// search for a dozen other files, a tenth of the time of `bash -c true`. It is also what a host without any gets.
fn name_character_set_alone(variables: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
    let plain = match variables.get(b"LANG".as_slice()) {
        Some(language) => matches!(language.as_slice(), b"C.UTF-8" | b"C.utf8" | b""),
        None => true,
    };
    if plain && !variables.contains_key(b"LC_ALL".as_slice()) {
        variables.remove(b"LANG".as_slice());
        variables
            .entry(b"LC_CTYPE".to_vec())
            .or_insert_with(|| b"C.UTF-8".to_vec());
    }
}

/// Whether a variable of the host makes the loader or a shell run code before the command.
fn runs_code(name: &[u8]) -> bool {
    name.starts_with(b"LD_")
        || name.starts_with(b"BASH_FUNC_")
        || matches!(
            name,
            b"BASH_ENV" | b"ENV" | b"SHELLOPTS" | b"BASHOPTS" | b"PROMPT_COMMAND" | b"PS4"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn a_host_without_a_language_of_its_own_names_the_character_set_alone() {
        for variables in [&[][..], &[("LANG", "C.UTF-8")], &[("LANG", "")]] {
            let minimal = Environment::from_host(host(variables).into_iter(), false);
            assert_eq!(text(&minimal), ["LC_CTYPE=C.UTF-8"]);
        }
        let german = Environment::from_host(host(&[("LANG", "de_DE.UTF-8")]).into_iter(), false);
        assert_eq!(text(&german), ["LANG=de_DE.UTF-8"]);
    }

    fn text(environment: &Environment) -> Vec<String> {
        let strings = environment.to_strings().unwrap();
        strings
            .into_iter()
            .map(|s| s.into_string().unwrap())
            .collect()
    }

    #[test]
    fn secrets_of_the_host_stay_there_unless_asked_for() {
        let variables = [
            ("LANG", "C.UTF-8"),
            ("LC_ALL", "C"),
            ("API_KEY", "x"),
            ("PATH", "/x"),
        ];
        let minimal = Environment::from_host(host(&variables).into_iter(), false);
        assert_eq!(text(&minimal), ["LANG=C.UTF-8", "LC_ALL=C"]);
        let inherited = Environment::from_host(host(&variables).into_iter(), true);
        assert!(text(&inherited).contains(&"API_KEY=x".to_owned()));
    }

    #[test]
    fn what_makes_a_loader_or_shell_run_code_is_never_inherited() {
        let variables = [
            ("LD_PRELOAD", "/evil.so"),
            ("LD_AUDIT", "/evil.so"),
            ("BASH_ENV", "/evil"),
            ("ENV", "/evil"),
            ("BASH_FUNC_ls%%", "() { evil; }"),
            ("GOOD", "1"),
        ];
        let inherited = Environment::from_host(host(&variables).into_iter(), true);
        assert_eq!(text(&inherited), ["GOOD=1"]);
    }

    #[test]
    fn the_caller_adds_replaces_and_removes() {
        let mut environment = Environment::default();
        environment.set("HOME", "/w");
        environment.set("GONE", "1");
        environment
            .apply(&[
                ("A".into(), Some("1".into())),
                ("A".into(), Some("2".into())),
                ("GONE".into(), None),
            ])
            .unwrap();
        assert_eq!(text(&environment), ["A=2", "HOME=/w"]);
    }
}
