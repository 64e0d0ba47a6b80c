use super::*;

static NONE: Masks = Masks {
    scope: None,
    below: Vec::new(),
    staged: Vec::new(),
};

pub(super) fn sandbox<'a>(environment: &'a Environment, system: &'a [SystemEntry]) -> Sandbox<'a> {
    Sandbox {
        system,
        etc: None,
        empty: None,
        tools: &[],
        read_only_inside: &[],
        seen_root: None,
        read_write: &[],
        hidden: &[],
        files: &[],
        directories: &[],
        tmp: Source::Descriptor(6),
        cache: Source::Descriptor(7),
        scope: Source::Descriptor(5),
        masks: &NONE,
        scope_path: OsStr::new("/w/one"),
        cwd_path: OsStr::new("/w/one/sub"),
        environment,
        own_network: false,
        uid: 1000,
        gid: 1000,
        seccomp: 4,
        status: 8,
    }
}

pub(super) fn text(sandbox: &Sandbox<'_>) -> String {
    let words: Vec<String> = arguments(sandbox)
        .into_iter()
        .map(|word| word.into_string().unwrap())
        .collect();
    words.join(" ")
}

#[test]
fn the_whole_list_of_arguments_is_as_expected() {
    let mut environment = Environment::default();
    environment.set("A", "1 2");
    let system = [
        SystemEntry::Mounted("/usr".into()),
        SystemEntry::Link {
            target: "usr/bin".into(),
            path: "/bin".into(),
        },
        SystemEntry::MaskedFile("/proc/kcore".into()),
        SystemEntry::MaskedDirectory("/proc/acpi".into()),
    ];
    let files = [(9, PathBuf::from("/etc/passwd"))];
    let tools = [(Source::Staged("/tmp/3".into()), PathBuf::from("/opt/node"))];
    let sandbox = Sandbox {
        files: &files,
        tools: &tools,
        ..sandbox(&environment, &system)
    };
    assert_eq!(
        text(&sandbox),
        "--unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try \
         --disable-userns --cap-drop ALL --new-session --die-with-parent --uid 1000 --gid 1000 \
         --seccomp 4 --json-status-fd 8 \
         --proc /proc --ro-bind /dev/null /proc/kcore --perms 0555 --tmpfs /proc/acpi \
         --remount-ro /proc/acpi --remount-ro /proc --dev /dev \
         --perms 1777 --size 1073741824 --tmpfs /dev/shm --remount-ro /dev \
         --ro-bind /usr /usr --symlink usr/bin /bin \
         --perms 0444 --file 9 /etc/passwd --perms 0755 --dir /run \
         --bind-fd 6 /tmp --symlink /tmp /var/tmp --bind-fd 7 /var/cache/agent-backend \
         --ro-bind /tmp/3 /opt/node --bind-fd 5 /w/one --remount-ro / --chdir /w/one/sub \
         --clearenv --setenv A 1 2"
    );
}

#[test]
fn without_network_there_is_a_namespace_for_it() {
    let environment = Environment::default();
    let sandbox = Sandbox {
        own_network: true,
        ..sandbox(&environment, &[])
    };
    assert!(text(&sandbox).contains("--unshare-cgroup-try --unshare-net --disable-userns"));
}

#[test]
fn what_the_options_name_comes_after_the_scope_and_what_they_hide_last() {
    let environment = Environment::default();
    let read_write = [(Source::Descriptor(11), PathBuf::from("/srv/data"))];
    let hidden = [
        Hidden {
            path: "/usr/share/doc".into(),
            directory: true,
        },
        Hidden {
            path: "/w/one/.env".into(),
            directory: false,
        },
    ];
    let text = text(&Sandbox {
        read_write: &read_write,
        hidden: &hidden,
        ..sandbox(&environment, &[])
    });
    let order = "--bind-fd 5 /w/one --bind-fd 11 /srv/data --perms 0555 --tmpfs /usr/share/doc \
                 --remount-ro /usr/share/doc --ro-bind /dev/null /w/one/.env --remount-ro / ";
    assert!(text.contains(order), "{text}");
}

#[test]
fn a_prepared_etc_and_an_empty_directory_take_one_mount_each() {
    let environment = Environment::default();
    let system = [SystemEntry::MaskedDirectory("/proc/acpi".into())];
    let sandbox = Sandbox {
        etc: Some(Path::new("/tmp/etc-1")),
        empty: Some(Path::new("/tmp/empty")),
        ..sandbox(&environment, &system)
    };
    let text = text(&sandbox);
    assert!(text.contains("--proc /proc --ro-bind /tmp/empty /proc/acpi --remount-ro /proc "));
    assert!(text.contains("--remount-ro /dev --ro-bind /tmp/etc-1 /etc --perms"));
}

#[test]
fn the_parents_of_a_scope_below_tmp_are_not_made_in_the_private_one() {
    let environment = Environment::default();
    let at = |path| {
        let scope_path = OsStr::new(path);
        let cwd_path = scope_path;
        text(&Sandbox {
            scope_path,
            cwd_path,
            ..sandbox(&environment, &[])
        })
    };
    let deep =
        "--perms 0755 --tmpfs /tmp/a --bind-fd 5 /tmp/a/b/c --remount-ro /tmp/a --remount-ro /";
    assert!(at("/tmp/a/b/c").contains(deep));
    assert!(!at("/tmp/a").contains("--tmpfs /tmp"));
    assert!(!at("/tmpfs/a/b").contains("--tmpfs /tmp"));
}

#[test]
fn a_root_that_is_seen_with_the_system_is_covered_around_the_scope() {
    let environment = Environment::default();
    let at = |root: &str| {
        text(&Sandbox {
            seen_root: Some(Path::new(root)),
            ..sandbox(&environment, &[])
        })
    };
    let around = "--perms 0755 --tmpfs /w --bind-fd 5 /w/one --remount-ro /w --remount-ro /";
    assert!(at("/w").contains(around), "{}", at("/w"));
    let elsewhere =
        "--perms 0755 --tmpfs /usr/src/app --bind-fd 5 /w/one --remount-ro /usr/src/app";
    assert!(
        at("/usr/src/app").contains(elsewhere),
        "{}",
        at("/usr/src/app")
    );
}

#[test]
fn what_is_read_only_of_the_scope_comes_after_it() {
    let environment = Environment::default();
    let inside = [(Source::Descriptor(11), PathBuf::from("/w/one/templates"))];
    let text = text(&Sandbox {
        read_only_inside: &inside,
        ..sandbox(&environment, &[])
    });
    assert!(
        text.contains("--bind-fd 5 /w/one --ro-bind-fd 11 /w/one/templates "),
        "{text}"
    );
}
