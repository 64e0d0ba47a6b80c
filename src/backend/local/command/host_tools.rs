//! Tools that the host's `PATH` finds outside the system directories: node under nvm, python under pyenv, cargo.
//! Their prefixes are shown to commands read-only. Never a home directory itself, and nothing that looks as if it held
//! credentials: then only the directory of the programs is shown.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::environment::SYSTEM_PATH;

/// What is mounted as a whole anyway.
const SYSTEM: &[&str] = &[
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/proc", "/dev", "/sys", "/tmp", "/run", "/etc",
];

/// Directories in a home that belong to a version manager and hold programs only.
const MANAGERS: &[&str] = &[
    ".pyenv",
    ".nvm",
    ".rbenv",
    ".nodenv",
    ".goenv",
    ".jenv",
    ".asdf",
    ".volta",
    ".sdkman",
    ".fnm",
    ".bun",
    ".deno",
    "miniconda3",
    "anaconda3",
    "miniforge3",
    "mambaforge",
];

/// Programs that are often links in a system directory to a prefix elsewhere.
const LINKED: &[&str] = &[
    "node", "npm", "npx", "pnpm", "yarn", "corepack", "python3", "python", "pip3", "pip", "git",
    "cargo", "rustc", "go", "java", "ruby", "deno", "bun", "uv", "rg",
];

/// Names at the top of a prefix that mean it is more than programs.
const CREDENTIALS: &[&str] = &[
    "credentials",
    "credentials.toml",
    "credentials.json",
    ".npmrc",
    ".netrc",
    ".pypirc",
    ".git-credentials",
    "auth.json",
    ".docker",
    ".ssh",
    ".aws",
    ".gnupg",
    "etc/npmrc",
    "config.json",
    "pip.conf",
];

/// What commands are shown of the host's tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HostTools {
    /// Directories to mount read-only at their own paths; none lies below another.
    pub(super) mounts: Vec<PathBuf>,
    /// Small files with harmless content.
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
    /// Empty directories that a tool insists on.
    pub(super) directories: Vec<PathBuf>,
    /// Entries of the search path, in the host's order, without the system's own.
    pub(super) path: Vec<PathBuf>,
    /// Variables that the tools need to find themselves.
    pub(super) variables: Vec<(&'static str, OsString)>,
}

/// The host as far as tools are concerned.
pub(super) struct Host<'a> {
    pub(super) path: &'a OsStr,
    pub(super) home: Option<&'a Path>,
    pub(super) rustup_home: Option<&'a Path>,
}

impl HostTools {
    /// Looks around on the host; reads directories, runs nothing.
    pub(super) fn find(host: &Host<'_>) -> Self {
        let mut tools = Self::default();
        for directory in std::env::split_paths(host.path) {
            if directory.is_absolute() && !is_system(&directory) && directory.is_dir() {
                tools.add_directory(host, &directory);
            }
        }
        for name in LINKED {
            tools.add_linked(host, name);
        }
        tools.add_rustup(host);
        tools.mounts.sort();
        let all = tools.mounts.clone();
        tools.mounts.retain(|mount| {
            !all.iter()
                .any(|other| other != mount && mount.starts_with(other))
        });
        tools.mounts.dedup();
        tools
    }

    fn add_directory(&mut self, host: &Host<'_>, directory: &Path) {
        // Installed by a project for itself, and full of links that leave the directory.
        if directory
            .components()
            .any(|part| part.as_os_str() == "node_modules")
        {
            return;
        }
        self.mounts.push(prefix(host, directory));
        self.path.push(directory.to_owned());
    }

    /// `/usr/local/bin/node -> /opt/node/bin/node`: the target's prefix is needed too.
    fn add_linked(&mut self, host: &Host<'_>, name: &str) {
        let system = std::env::split_paths(SYSTEM_PATH);
        let found = std::env::split_paths(host.path)
            .chain(system)
            .map(|directory| directory.join(name))
            .find(|path| path.is_file());
        let Some(real) = found.and_then(|path| path.canonicalize().ok()) else {
            return;
        };
        let known = self.mounts.iter().any(|mount| real.starts_with(mount));
        if known || is_system(&real) {
            return;
        }
        // npm is a script deep inside the prefix of its node.
        let text = real.as_os_str().as_bytes();
        let modules = b"/lib/node_modules/";
        let at = text
            .windows(modules.len())
            .position(|window| window == modules);
        if let Some(at) = at {
            let directory = Path::new(OsStr::from_bytes(&text[..at])).join("bin");
            self.mounts.push(prefix(host, &directory));
        } else if let Some(directory) = real.parent() {
            self.mounts.push(prefix(host, directory));
        }
    }

    /// The programs of `~/.cargo/bin` are one that picks a toolchain by rustup's settings.
    fn add_rustup(&mut self, host: &Host<'_>) {
        let default = host.home.map(|home| home.join(".rustup"));
        let Some(rustup) = host.rustup_home.map(Path::to_owned).or(default) else {
            return;
        };
        let toolchains = rustup.join("toolchains");
        let shows_cargo = self.path.iter().any(|path| path.join("rustup").is_file());
        if !shows_cargo || !toolchains.is_dir() {
            return;
        }
        // Of the settings, what picks the toolchain; the rest names directories of the host.
        let settings = std::fs::read_to_string(rustup.join("settings.toml")).unwrap_or_default();
        let kept: String = settings
            .lines()
            .take_while(|line| !line.starts_with('['))
            .flat_map(|line| [line, "\n"])
            .collect();
        self.files
            .push((rustup.join("settings.toml"), kept.into_bytes()));
        self.mounts.push(toolchains);
        self.directories.push(rustup.join("update-hashes"));
        self.directories.push(rustup.join("tmp"));
        self.variables
            .push(("RUSTUP_HOME", rustup.into_os_string()));
    }
}

fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|system| path.starts_with(system))
}

/// What to mount so that the programs of a directory run: their prefix, or where that is too much, the directory.
fn prefix(host: &Host<'_>, directory: &Path) -> PathBuf {
    let homes = ["/root", "/home"].map(Path::new);
    let in_home = |path: &Path| {
        let home = host.home.filter(|home| path.starts_with(home));
        home.map(Path::to_owned).or_else(|| {
            // /home/somebody or /root
            homes.into_iter().find_map(|base| {
                let rest = path.strip_prefix(base).ok()?;
                Some(if base == Path::new("/root") {
                    base.to_owned()
                } else {
                    base.join(rest.components().next()?)
                })
            })
        })
    };
    let home = in_home(directory);
    if let Some(home) = &home {
        for manager in MANAGERS {
            let root = home.join(manager);
            // Each node under nvm has a prefix of its own, and its neighbours are none of a command's business.
            if directory.starts_with(&root) && *manager != ".nvm" && !has_credentials(&root) {
                return root;
            }
        }
    }
    let named = directory
        .file_name()
        .is_some_and(|name| name == "bin" || name == "sbin" || name == "shims");
    let Some(parent) = directory.parent().filter(|_| named) else {
        return directory.to_owned();
    };
    let depth = parent.components().count();
    let too_much = depth <= 2
        || home.as_ref().is_some_and(|home| {
            home.starts_with(parent) || parent.parent() == Some(home.as_path())
        })
        || has_credentials(parent);
    if too_much {
        directory.to_owned()
    } else {
        parent.to_owned()
    }
}

fn has_credentials(prefix: &Path) -> bool {
    CREDENTIALS
        .iter()
        .any(|name| prefix.join(name).symlink_metadata().is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use super::*;

    fn find(home: &Path, directories: &[&str]) -> HostTools {
        let directories: Vec<PathBuf> = directories.iter().map(|name| home.join(name)).collect();
        for directory in &directories {
            create_dir_all(directory).unwrap();
        }
        let path = std::env::join_paths(directories).unwrap();
        let mut tools = HostTools::find(&Host {
            path: &path,
            home: Some(home),
            rustup_home: None,
        });
        // What the machine that runs the test links into its system directories is not the subject.
        tools.mounts.retain(|mount| mount.starts_with(home));
        tools
    }

    /// A home directory that does not lie below `/tmp`, which is a system directory here.
    fn home() -> tempfile::TempDir {
        tempfile::tempdir_in("/var/tmp").unwrap()
    }

    #[test]
    fn a_node_under_nvm_is_shown_with_its_prefix_alone() {
        let home = home();
        let tools = find(home.path(), &[".nvm/versions/node/v20/bin"]);
        assert_eq!(tools.mounts, [home.path().join(".nvm/versions/node/v20")]);
        assert_eq!(tools.path, [home.path().join(".nvm/versions/node/v20/bin")]);
    }

    #[test]
    fn pyenv_is_shown_whole_and_once() {
        let home = home();
        let tools = find(home.path(), &[".pyenv/shims", ".pyenv/bin"]);
        assert_eq!(tools.mounts, [home.path().join(".pyenv")]);
    }

    #[test]
    fn a_home_directory_and_what_lies_right_in_it_is_never_shown_whole() {
        let home = home();
        let tools = find(home.path(), &["bin", ".local/bin", ".cargo/bin", "stuff"]);
        let expected =
            [".cargo/bin", ".local/bin", "bin", "stuff"].map(|name| home.path().join(name));
        assert_eq!(tools.mounts, expected);
    }

    #[test]
    fn a_prefix_with_credentials_shows_its_programs_only() {
        let home = home();
        create_dir_all(home.path().join(".nvm/versions/node/v20/etc")).unwrap();
        write(
            home.path().join(".nvm/versions/node/v20/etc/npmrc"),
            "token",
        )
        .unwrap();
        let tools = find(home.path(), &[".nvm/versions/node/v20/bin"]);
        assert_eq!(
            tools.mounts,
            [home.path().join(".nvm/versions/node/v20/bin")]
        );
    }

    #[test]
    fn of_rustup_toolchains_and_the_choice_among_them_are_shown() {
        let home = home();
        create_dir_all(home.path().join(".cargo/bin")).unwrap();
        write(home.path().join(".cargo/bin/rustup"), "").unwrap();
        create_dir_all(home.path().join(".rustup/toolchains")).unwrap();
        let settings = "version = \"12\"\ndefault_toolchain = \"stable\"\n\n[overrides]\n\"/secret/place\" = \"nightly\"\n";
        write(home.path().join(".rustup/settings.toml"), settings).unwrap();
        let tools = find(home.path(), &[".cargo/bin"]);
        let expected = [".cargo/bin", ".rustup/toolchains"].map(|name| home.path().join(name));
        assert_eq!(tools.mounts, expected);
        let (path, content) = &tools.files[0];
        assert_eq!(path, &home.path().join(".rustup/settings.toml"));
        assert_eq!(
            content,
            b"version = \"12\"\ndefault_toolchain = \"stable\"\n\n"
        );
    }

    #[test]
    fn what_a_project_installed_for_itself_is_left_alone() {
        let home = home();
        let tools = find(home.path(), &["app/node_modules/.bin"]);
        assert_eq!(tools, HostTools::default());
    }
}
