use crate::backend::remote::options::{HostKeyPolicy, RemoteOptions, Secret, SshAuth, Transport};
use crate::error::ErrorCode;

fn options() -> RemoteOptions {
    RemoteOptions::new("/workspace", "example.com")
}

#[track_caller]
fn refused(change: impl FnOnce(&mut RemoteOptions), name: &str) {
    let mut options = options();
    change(&mut options);
    let error = options.check().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{error}");
    assert!(error.message().starts_with(name), "{error}");
    assert!(!error.message().contains("hunter2"), "{error}");
}

#[test]
fn what_could_not_work_is_refused_by_the_name_of_the_option() {
    assert!(options().check().is_ok());
    refused(|o| o.root_dir = b"relative".to_vec(), "rootDir");
    refused(|o| o.root_dir = b"/a\nb".to_vec(), "rootDir");
    refused(|o| o.host = String::new(), "host");
    refused(|o| o.host = "http://example.com".into(), "host");
    refused(|o| o.host = "example.com/path".into(), "host");
    refused(|o| o.ssh_host = Some("a b".into()), "sshHostOverride");
    refused(|o| o.port = Some(0), "port");
    refused(|o| o.headers.push(("a b".into(), "c".into())), "headers");
    refused(
        |o| {
            o.headers
                .push(("X-Key".into(), "hunter2\r\nX-Other: y".into()))
        },
        "headers['X-Key']",
    );
    refused(
        |o| o.auth_token = Some(Secret::new("hunter2\n")),
        "authToken",
    );
    refused(|o| o.auth_token = Some(Secret::new("")), "authToken");
    refused(|o| o.scope = Some("a\nb".into()), "scope");
    refused(|o| o.transport = Transport::Ssh, "sshAuth");
    refused(|o| o.connect_timeout_ms = 0, "connectTimeoutMs");
    refused(|o| o.operation_timeout_ms = u64::MAX, "operationTimeoutMs");
    refused(|o| o.keepalive_interval_ms = 0, "keepaliveIntervalMs");
    refused(|o| o.keepalive_count_max = 0, "keepaliveCountMax");
    refused(
        |o| o.reconnection.backoff_multiplier = f64::NAN,
        "reconnection.backoffMultiplier",
    );
    for pins in [
        vec![],
        vec!["MD5:00".to_owned()],
        vec!["SHA256:short".to_owned()],
    ] {
        refused(|o| o.host_key = Some(HostKeyPolicy::Pin(pins)), "hostKey");
    }
    refused(
        |o| o.host_key = Some(HostKeyPolicy::Certificate("/x".into())),
        "hostKey",
    );
}

#[test]
fn debug_shows_no_secret() {
    let mut options = options();
    options.auth_token = Some(Secret::new("hunter2"));
    options.headers.push(("X-Key".into(), "hunter2".into()));
    options.ssh_auth = Some(SshAuth::Password {
        user: "agent".into(),
        password: Secret::new("hunter2"),
    });
    let shown = format!("{options:?}");
    assert!(
        shown.contains("X-Key") && shown.contains("agent"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn ports_and_tls_have_defaults_that_follow_from_the_transport() {
    let mut options = options();
    assert_eq!(
        (options.effective_port(), options.is_secure()),
        (3001, false)
    );
    options.port = Some(443);
    assert!(options.is_secure());
    options.secure = Some(false);
    assert!(!options.is_secure());
    options.port = None;
    options.transport = Transport::Ssh;
    options.secure = Some(true);
    assert_eq!((options.effective_port(), options.is_secure()), (22, false));
    options.ssh_host = Some("[::1]".into());
    assert_eq!(options.effective_host(), "::1");
}
